import { constants, publicEncrypt } from 'node:crypto';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { describe, expect, it } from '@jest/globals';
import { person, personWorld } from '../../test/person.ts';
import { backendsOf } from '../backends/backends.ts';
import { generateUserKey } from '../creation/generate-key.ts';
import { scheduleDestruction } from '../destruction/schedule-destruction.ts';
import { KEY_STATES } from '../keys/key-state.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { rotateKey } from '../life/rotate-key.ts';
import { signForPerson } from '../signing/sign-for-person.ts';
import { verifyForPerson } from '../signing/verify-for-person.ts';
import { decryptForPerson, MAX_CIPHERTEXT } from './decrypt-for-person.ts';
import { encryptForPerson, MAX_ADDITIONAL_DATA } from './encrypt-for-person.ts';

const NOTHING = Buffer.alloc(0);
const SECRET = Buffer.from('to be kept secret');
const request = { plaintext: SECRET, additionalData: NOTHING };

async function withKey(keyType = 'aes-256', usage?: string) {
  const world = personWorld();
  const { deps, alice } = world;
  const key = await generateUserKey(deps, { keyId: 'k', keyType, usage }, alice);
  const encrypt = (asked = request, who = alice) => encryptForPerson(deps, 'k', asked, who);
  const decrypt = (ciphertext: Buffer, additionalData = NOTHING, who = alice) =>
    decryptForPerson(deps, 'k', { ciphertext, additionalData }, who);
  return { ...world, stored: key, encrypt, decrypt };
}

describe('people encrypt and decrypt', () => {
  it.each([
    ['aes-128', 'AES-128-GCM'],
    ['aes-192', 'AES-192-GCM'],
    ['aes-256', 'AES-256-GCM'],
    ['rsa-2048', 'RSAES-OAEP-SHA256'],
  ])('covers: K71, X8. with a key of type %s, as %s', async (keyType, algorithm) => {
    const { encrypt, decrypt } = await withKey(keyType, 'encrypt');
    for (const additionalData of [NOTHING, Buffer.from('for whom')]) {
      const made = await encrypt({ plaintext: SECRET, additionalData });
      expect(made).toMatchObject({ version: 1, algorithm });
      expect(made.ciphertext.subarray(0, 5)).toEqual(Buffer.of(1, 0, 0, 0, 1));
      expect(made.ciphertext.includes(SECRET)).toBe(false);
      const opened = await decrypt(made.ciphertext, additionalData);
      expect(opened).toEqual({ plaintext: SECRET, version: 1 });
      await expect(decrypt(made.ciphertext, Buffer.from('another'))).rejects.toMatchObject({
        code: 'DECRYPTION_FAILED',
      });
    }
  });

  it('authenticates the header: no version of a key passes for another', async () => {
    const { deps, encrypt, stored } = await withKey();
    const { ciphertext } = await encrypt();
    const [header, sealed] = [ciphertext.subarray(0, 5), ciphertext.subarray(5)];
    const { secretKeys } = deps.backends.of(stored.backend);
    expect(await secretKeys?.decrypt(stored.handle, sealed, header)).toEqual(SECRET);
    await expect(secretKeys?.decrypt(stored.handle, sealed, NOTHING)).rejects.toMatchObject({
      code: 'DECRYPTION_FAILED',
    });
  });

  it('decrypts what others encrypted to the public key', async () => {
    const { decrypt, stored } = await withKey('rsa-3072', 'encrypt');
    const key = publicKeyOf(stored).keyObject;
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const foreign = publicEncrypt({ key, padding, oaepHash: 'sha256' }, SECRET);
    const ciphertext = Buffer.concat([Buffer.of(1, 0, 0, 0, 1), foreign]);
    expect(await decrypt(ciphertext)).toEqual({ plaintext: SECRET, version: 1 });
  });

  it('covers: K72. with all versions, the newest encrypts', async () => {
    for (const keyType of ['aes-256', 'rsa-2048']) {
      const { deps, alice, encrypt, decrypt } = await withKey(keyType, 'encrypt');
      const made = [(await encrypt()).ciphertext];
      for (let n = 0; n < 2; n++) {
        await rotateKey(deps, 'k', undefined, alice);
        made.push((await encrypt()).ciphertext);
      }
      for (const [n, ciphertext] of made.entries())
        expect(await decrypt(ciphertext)).toEqual({ plaintext: SECRET, version: n + 1 });
      // Another version than the one that encrypted it, and one that there never was.
      for (const version of [2, 9]) {
        const moved = Buffer.from(made[0] as Buffer);
        moved.writeUInt32BE(version, 1);
        await expect(decrypt(moved)).rejects.toMatchObject({ code: 'DECRYPTION_FAILED' });
      }
    }
  });

  it('takes 1 to 65536 octets by AES, 190 by RSA-2048, and 4096 of additional data', async () => {
    const sized = (octets: number, more = 0) => ({
      plaintext: Buffer.alloc(octets, 1),
      additionalData: Buffer.alloc(more),
    });
    const aes = await withKey();
    const { ciphertext } = await aes.encrypt(sized(65_536, MAX_ADDITIONAL_DATA));
    expect(ciphertext).toHaveLength(MAX_CIPHERTEXT);
    const opened = await aes.decrypt(ciphertext, Buffer.alloc(MAX_ADDITIONAL_DATA));
    expect(opened.plaintext).toHaveLength(65_536);
    const refused = { code: 'INVALID_ARGUMENT' };
    for (const asked of [sized(0), sized(65_537), sized(1, MAX_ADDITIONAL_DATA + 1)])
      await expect(aes.encrypt(asked)).rejects.toMatchObject(refused);
    for (const octets of [0, 5, MAX_CIPHERTEXT + 1])
      await expect(aes.decrypt(Buffer.alloc(octets))).rejects.toMatchObject(refused);
    const rsa = await withKey('rsa-2048', 'encrypt');
    expect((await rsa.encrypt(sized(190))).version).toBe(1);
    await expect(rsa.encrypt(sized(191))).rejects.toMatchObject(refused);
  });
});

describe('who encrypts and decrypts, and with what', () => {
  it('covers: T63. a key signs or encrypts, never both; each refusal is an event', async () => {
    for (const [keyType, usage] of [
      ['ec-p256', 'sign'],
      ['rsa-2048', 'sign'],
      ['hmac-sha256', 'sign'],
    ] as const) {
      const { encrypt, decrypt, told } = await withKey(keyType, usage);
      const refused = { code: 'KEY_USE_REFUSED' };
      await expect(encrypt()).rejects.toMatchObject(refused);
      await expect(decrypt(Buffer.alloc(300, 1))).rejects.toMatchObject(refused);
      expect(told()).toEqual(['key.generated', 'key.refused', 'key.refused']);
    }
    for (const keyType of ['aes-256', 'rsa-2048']) {
      const { deps, alice } = await withKey(keyType, 'encrypt');
      const asked = { data: SECRET, format: 'der' } as const;
      await expect(signForPerson(deps, 'k', asked, alice)).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
      await expect(
        verifyForPerson(deps, 'k', { ...asked, signature: SECRET }, alice),
      ).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
    }
  });

  it('the owner and administrators, nobody else; other tenants do not know the key', async () => {
    const { encrypt, decrypt } = await withKey();
    const { ciphertext } = await encrypt(request, person('root', 'admin'));
    const { plaintext } = await decrypt(ciphertext, NOTHING, person('root', 'admin'));
    expect(plaintext).toEqual(SECRET);
    for (const [who, code] of [
      [person('bob'), 'KEY_USE_REFUSED'],
      [person('eve', 'admin', 'other'), 'KEY_NOT_FOUND'],
    ] as const) {
      await expect(encrypt(request, who)).rejects.toMatchObject({ code });
      await expect(decrypt(ciphertext, NOTHING, who)).rejects.toMatchObject({ code });
    }
  });

  it.each(KEY_STATES)('a key that is %s, as SP 800-57 has it', async (state) => {
    const { deps, stored, encrypt, decrypt } = await withKey();
    const { ciphertext } = await encrypt();
    const event = { type: 'key.generated', actor: 'test', subject: 'test', data: {} } as const;
    await deps.keys.move(
      stored,
      { state, destroyAt: null, restoreState: null, destroyBy: [] },
      event,
    );
    const outcome = (promise: Promise<unknown>) =>
      promise.then(
        () => 'done',
        ({ code }: { code: string }) => code,
      );
    const may = (yes: boolean) => (yes ? 'done' : 'KEY_USE_REFUSED');
    expect(await outcome(encrypt())).toBe(may(state === 'active'));
    expect(await outcome(decrypt(ciphertext))).toBe(
      may(!['pre-active', 'destroyed'].includes(state)),
    );
  });

  it('tells of each use before it is answered, without a word of the content', async () => {
    const { encrypt, decrypt, events } = await withKey();
    const { ciphertext } = await encrypt();
    await decrypt(ciphertext);
    const common = { caller: 'user:alice', count: 1, version: 1, octets: SECRET.length };
    const told = { type: 'key.used', actor: 'user:alice', subject: 'k' };
    expect(events.slice(1)).toEqual([
      { ...told, data: { purpose: 'encrypt', ...common } },
      { ...told, data: { purpose: 'decrypt', ...common } },
    ]);
    await expect(decrypt(Buffer.concat([ciphertext, SECRET]))).rejects.toMatchObject({
      code: 'DECRYPTION_FAILED',
    });
    expect(events.at(-1)).toMatchObject({ type: 'key.refused', data: { purpose: 'decrypt' } });
  });
});

describe('what goes wrong', () => {
  it('keeps back a ciphertext that does not decrypt, and tells of none', async () => {
    const { deps, store, alice, told } = await withKey();
    const { secretKeys } = store as Required<KeyStore>;
    const faulty: KeyStore = {
      ...store,
      secretKeys: {
        ...secretKeys,
        encrypt: (handle, plaintext, data) =>
          secretKeys.encrypt(handle, Buffer.concat([plaintext, SECRET]), data),
      },
    };
    const wrong = { ...deps, backends: backendsOf([faulty], 'memory') };
    await expect(encryptForPerson(wrong, 'k', request, alice)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    expect(told()).toEqual(['key.generated']);
  });

  it('a key that is taken out of use meanwhile encrypts and decrypts nothing any more', async () => {
    const { deps, store, alice, encrypt, told } = await withKey();
    const { secretKeys } = store as Required<KeyStore>;
    const { ciphertext } = await encrypt();
    let rotated = false;
    const slow: KeyStore = {
      ...store,
      secretKeys: {
        ...secretKeys,
        async encrypt(handle, plaintext, data) {
          const sealed = await secretKeys.encrypt(handle, plaintext, data);
          if (!rotated) await rotateKey(deps, 'k', undefined, alice);
          rotated = true;
          return sealed;
        },
      },
    };
    const meanwhile = { ...deps, backends: backendsOf([slow], 'memory') };
    expect(await encryptForPerson(meanwhile, 'k', request, alice)).toMatchObject({ version: 2 });
    await scheduleDestruction(deps, 'k', alice);
    await expect(encryptForPerson(deps, 'k', request, alice)).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    const asked = { ciphertext, additionalData: NOTHING };
    expect((await decryptForPerson(deps, 'k', asked, alice)).plaintext).toEqual(SECRET);
    expect(told().slice(2)).toEqual([
      'key.rotated',
      'key.used',
      'key.destruction-scheduled',
      'key.refused',
      'key.used',
    ]);
  });

  it('a version that has encrypted as often as it may is to be rotated', async () => {
    const { deps, alice, encrypt } = await withKey();
    const { ciphertext } = await encrypt();
    const spent = { ...deps, encryptions: { record: async () => 'exhausted' as const } };
    await expect(encryptForPerson(spent, 'k', request, alice)).rejects.toThrow(
      'version 1 has encrypted 4294967296 times; rotate the key',
    );
    const asked = { ciphertext, additionalData: NOTHING };
    expect((await decryptForPerson(deps, 'k', asked, alice)).version).toBe(1);
  });

  it('covers: K73. a backend that lacks the ability says so', async () => {
    const { deps, store, alice } = await withKey();
    const { secretKeys: _none, privateDecryption: _neither, ...plain } = store;
    const lesser = { ...deps, backends: backendsOf([plain as KeyStore], 'memory') };
    for (const asked of [
      { keyType: 'aes-256' },
      { keyType: 'hmac-sha256' },
      { keyType: 'rsa-2048', usage: 'encrypt' },
    ])
      await expect(generateUserKey(lesser, asked, alice)).rejects.toMatchObject({
        code: 'OPERATION_NOT_SUPPORTED',
      });
    await expect(encryptForPerson(lesser, 'k', request, alice)).rejects.toMatchObject({
      code: 'OPERATION_NOT_SUPPORTED',
    });
    await expect(
      generateUserKey(deps, { keyType: 'ec-p256', backend: 'hsm' }, alice),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
