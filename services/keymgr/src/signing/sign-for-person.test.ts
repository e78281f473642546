import { createHash, verify } from 'node:crypto';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { describe, expect, it } from '@jest/globals';
import { person, personWorld } from '../../test/person.ts';
import { ISSUER, leafTbs } from '../../test/signing-fixture.ts';
import { backendsOf } from '../backends/backends.ts';
import { createCaKey } from '../ca-keys/create-ca-key.ts';
import { generateServiceKey } from '../creation/generate-key.ts';
import { KEY_TYPES } from '../keys/key-spec.ts';
import { publicKeyOf } from '../keys/stored-key.ts';
import { changeState } from '../life/change-state.ts';
import { rotateKey } from '../life/rotate-key.ts';
import { MAX_DATA, signForPerson } from './sign-for-person.ts';
import { verifyForPerson } from './verify-for-person.ts';

const DATA = Buffer.from('to be signed');
const SIGNING_TYPES = KEY_TYPES.filter((keyType) => !keyType.startsWith('aes-'));
const request = { data: DATA, format: 'der' } as const;

describe('signForPerson', () => {
  it.each(SIGNING_TYPES)('signs with a key of type %s, in both formats', async (keyType) => {
    const { deps, key, alice } = personWorld();
    await key('k', keyType);
    for (const format of ['der', 'p1363'] as const) {
      const signed = await signForPerson(deps, 'k', { data: DATA, format }, alice);
      const asked = { data: DATA, signature: signed.signature, format };
      expect(await verifyForPerson(deps, 'k', asked, alice)).toMatchObject({ valid: true });
      const other = { ...asked, data: Buffer.from('other') };
      expect(await verifyForPerson(deps, 'k', other, alice)).toEqual({
        valid: false,
        state: 'active',
      });
    }
  });

  it('hashes the data, and tells of each signature by itself', async () => {
    const { deps, key, alice, events } = personWorld();
    const { keyObject } = publicKeyOf(await key());
    const { signature, ...rest } = await signForPerson(deps, 'k', request, alice);
    expect(rest).toEqual({ version: 1, algorithm: 'ecdsa-with-SHA256' });
    expect(verify('sha256', DATA, keyObject, signature)).toBe(true);
    await signForPerson(deps, 'k', request, alice);
    const dataSha256 = createHash('sha256').update(DATA).digest('hex');
    const told = {
      type: 'key.used',
      actor: 'user:alice',
      subject: 'k',
      data: { purpose: 'sign', caller: 'user:alice', count: 1, version: 1, dataSha256 },
    };
    expect(events.slice(1)).toEqual([told, told]);
  });

  it('takes 1 to 65536 octets', async () => {
    const { deps, key, alice } = personWorld();
    await key();
    const sized = (octets: number) =>
      signForPerson(deps, 'k', { ...request, data: Buffer.alloc(octets) }, alice);
    expect((await sized(MAX_DATA)).version).toBe(1);
    for (const octets of [0, MAX_DATA + 1])
      await expect(sized(octets)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('covers: T13. keeps back a signature that does not verify, and tells of none', async () => {
    const { deps, key, alice, store, told } = personWorld();
    await key();
    const faulty: KeyStore = {
      ...store,
      sign: (handle, data, options) => store.sign(handle, Buffer.concat([data, DATA]), options),
    };
    const wrong = { ...deps, backends: backendsOf([faulty], 'memory') };
    await expect(signForPerson(wrong, 'k', request, alice)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    expect(told()).toEqual(['key.generated']);
  });

  it('covers: T63. signs with no key that is trusted, whatever the bytes and whoever asks', async () => {
    const { deps, events, store } = personWorld();
    const root = person('root', 'admin');
    await createCaKey(deps, { keyId: 'ca-issuing', keyType: 'ec-p256', subject: ISSUER });
    const ocsp = { keyId: 'ocsp-issuing', keyType: 'ec-p256', purposes: ['ocspSign'], actor: '' };
    await generateServiceKey(deps, ocsp, 'ocsp');
    let asked = 0;
    const sign = store.sign;
    Object.assign(store, {
      sign: (...args: Parameters<typeof sign>) => {
        asked += 1;
        return sign(...args);
      },
    });
    for (const keyId of ['ca-issuing', 'ocsp-issuing'])
      for (const data of [leafTbs(), DATA]) {
        await expect(
          signForPerson(deps, keyId, { data, format: 'der' }, root),
        ).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
        expect(events.at(-1)).toMatchObject({
          type: 'key.refused',
          actor: 'user:root',
          subject: keyId,
          data: { purpose: 'sign', reason: 'it is a key of a service' },
        });
      }
    expect(asked).toBe(0);
  });

  it('covers: T63. signs for the owner and for administrators, not for other operators', async () => {
    const { deps, key, events } = personWorld();
    await key();
    await expect(signForPerson(deps, 'k', request, person('bob'))).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    expect(events.at(-1)).toMatchObject({ type: 'key.refused', actor: 'user:bob' });
    await signForPerson(deps, 'k', request, person('root', 'admin'));
    expect(events.at(-1)).toMatchObject({ type: 'key.used', actor: 'user:root' });
    const stranger = person('eve', 'admin', 'other');
    await expect(signForPerson(deps, 'k', request, stranger)).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    });
  });

  it('forgets a signature whose key was taken out of use meanwhile', async () => {
    const { deps, key, alice, store, told } = personWorld();
    await key();
    const slow: KeyStore = {
      ...store,
      async sign(handle, data, options) {
        const signature = await store.sign(handle, data, options);
        await changeState(deps, 'k', { state: 'suspended', reason: '' }, alice);
        return signature;
      },
    };
    const meanwhile = { ...deps, backends: backendsOf([slow], 'memory') };
    await expect(signForPerson(meanwhile, 'k', request, alice)).rejects.toMatchObject({
      code: 'KEY_USE_REFUSED',
    });
    expect(told()).toEqual(['key.generated', 'key.suspended', 'key.refused']);
  });

  it('signs with the new version when the key was rotated meanwhile', async () => {
    const { deps, key, alice, store, told } = personWorld();
    const first = await key();
    const slow: KeyStore = {
      ...store,
      async sign(handle, data, options) {
        const signature = await store.sign(handle, data, options);
        if (handle === first.handle) await rotateKey(deps, 'k', undefined, alice);
        return signature;
      },
    };
    const meanwhile = { ...deps, backends: backendsOf([slow], 'memory') };
    expect(await signForPerson(meanwhile, 'k', request, alice)).toMatchObject({ version: 2 });
    expect(told()).toEqual(['key.generated', 'key.rotated', 'key.used']);
  });
});

describe('verifyForPerson', () => {
  it('finds the version, or looks at the one that is named', async () => {
    const { deps, key, alice } = personWorld();
    await key();
    const signatures = [];
    for (const rotate of [false, true, true]) {
      if (rotate) await rotateKey(deps, 'k', undefined, alice);
      signatures.push((await signForPerson(deps, 'k', request, alice)).signature);
    }
    const verdict = (signature: Buffer | undefined, version?: number) =>
      verifyForPerson(deps, 'k', { ...request, signature: signature!, version }, alice);
    for (const [n, signature] of signatures.entries())
      expect(await verdict(signature)).toMatchObject({ valid: true, version: n + 1 });
    expect(await verdict(signatures[0], 1)).toMatchObject({ valid: true, version: 1 });
    expect(await verdict(signatures[0], 3)).toEqual({ valid: false, state: 'active' });
    await expect(verdict(signatures[0], 4)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  });

  it.each(SIGNING_TYPES)('says no to junk, with a key of type %s', async (keyType) => {
    const { deps, key, alice } = personWorld();
    await key('k', keyType);
    for (const format of ['der', 'p1363'] as const)
      for (const octets of [0, 1, 63, 64, 65, 96, 256, 257, 1000]) {
        const signature = Buffer.alloc(octets, 0x30);
        const asked = { data: DATA, signature, format };
        expect(await verifyForPerson(deps, 'k', asked, alice)).toMatchObject({ valid: false });
      }
  });

  it('counts each use, and does not know keys of other tenants', async () => {
    const { deps, key, alice, events } = personWorld();
    await key();
    const asked = { ...request, signature: Buffer.of(1) };
    await verifyForPerson(deps, 'k', asked, alice);
    expect(events.at(-1)).toMatchObject({
      type: 'key.used',
      actor: 'user:alice',
      data: { purpose: 'verify' },
    });
    const stranger = person('eve', 'admin', 'other');
    await expect(verifyForPerson(deps, 'k', asked, stranger)).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    });
  });
});
