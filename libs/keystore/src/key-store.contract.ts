import { createPublicKey, type KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyWith } from './key-algorithm.ts';
import {
  type KeyHandle,
  type KeyStore,
  type NewKeyOptions,
  type PrivateDecryption,
  randomHandle,
  type SecretKeys,
} from './key-store.ts';
import type { PairKeyType, SecretKeyType } from './key-types.ts';
import { encryptTo } from './rsa-encryption.ts';

/** What the contract needs of a backend under test. */
export interface KeyStoreUnderTest {
  readonly store: KeyStore;
  /** The types to try; every backend makes `ec-p256`. */
  readonly keyTypes: readonly PairKeyType[];
  /** The types without a public half to try; none where the backend has no such keys. */
  readonly secretKeyTypes?: readonly SecretKeyType[];
  /** Its RSA keys decrypt. */
  readonly decrypts?: true;
  /** A key that was removed can be had back there for a while, and is KEY_UNAVAILABLE. */
  readonly givesBack?: true;
  close(): Promise<void>;
}

const DATA = Buffer.from('to be signed');

/** What every backend must do. Run it for each of them. */
export function describeKeyStore(name: string, make: () => Promise<KeyStoreUnderTest>): void {
  describe(`KeyStore contract: ${name}`, () => {
    let subject: KeyStoreUnderTest;
    beforeAll(async () => {
      subject = await make();
    });
    afterAll(async () => {
      await subject?.close();
    });

    async function publicKeyOf(handle: KeyHandle): Promise<KeyObject> {
      const key = await subject.store.publicKey(handle);
      return createPublicKey({ key, format: 'der', type: 'spki' });
    }

    it('is well', async () => {
      await subject.store.check();
      expect(subject.store.backend).toMatch(/^[a-z][a-z0-9-]*$/);
      const { description, keyTypes } = await subject.store.facts();
      expect(description).not.toBe('');
      expect(keyTypes).toEqual(expect.arrayContaining([...subject.keyTypes]));
    });

    it('signs with each key type so that the public key verifies, in DER and in P1363', async () => {
      for (const keyType of subject.keyTypes) {
        const handle = await subject.store.generate(keyType);
        const publicKey = await publicKeyOf(handle);
        for (const format of ['der', 'p1363'] as const) {
          const signature = await subject.store.sign(handle, DATA, { format });
          expect(await verifyWith(publicKey, DATA, signature, format)).toBe(true);
          expect(await verifyWith(publicKey, Buffer.from('other'), signature, format)).toBe(false);
        }
        await subject.store.remove(handle);
      }
    });

    it('signs what comes in parts as it would the whole', async () => {
      for (const keyType of subject.keyTypes) {
        const handle = await subject.store.generate(keyType);
        const publicKey = await publicKeyOf(handle);
        for (const format of ['der', 'p1363'] as const) {
          const signing = await subject.store.startSignature(handle, { format });
          for (const part of [DATA, Buffer.from(' and'), Buffer.from(' more')]) {
            signing.update(part);
          }
          const signature = await signing.sign();
          const whole = Buffer.from(`${DATA} and more`);
          expect(await verifyWith(publicKey, whole, signature, format)).toBe(true);
          expect(await verifyWith(publicKey, DATA, signature, format)).toBe(false);
        }
        await subject.store.remove(handle);
      }
    });

    it('gives opaque handles, and a different key each time', async () => {
      const handles = [
        await subject.store.generate('ec-p256'),
        await subject.store.generate('ec-p256'),
      ];
      const keys = await Promise.all(handles.map((handle) => subject.store.publicKey(handle)));
      expect(handles.every((handle) => /^[A-Za-z0-9-]{1,255}$/.test(handle))).toBe(true);
      expect(keys[0]!.equals(keys[1]!)).toBe(false);
    });

    it('makes a key under the handle that was chosen, or finds it by the name', async () => {
      const { store, secretKeyTypes = [] } = subject;
      const generate: ((options: NewKeyOptions) => Promise<KeyHandle>)[] = [
        (options) => store.generate('ec-p256', options),
        ...secretKeyTypes.map(
          (keyType) => (options: NewKeyOptions) =>
            (store.secretKeys as SecretKeys).generate(keyType, options),
        ),
        ...(store.privateDecryption
          ? [(options: NewKeyOptions) => store.privateDecryption!.generate('rsa-2048', options)]
          : []),
      ];
      for (const make of generate) {
        const handle = randomHandle();
        const made = await make({ handle, name: handle });
        if (store.namedKeys) {
          await store.namedKeys.remove('ec-p256', handle);
          expect(await make({ name: handle })).not.toBe(made);
          await store.namedKeys.remove('ec-p256', handle);
        } else {
          expect(made).toBe(handle);
          await store.remove(handle);
        }
      }
    });

    it('signs many at once', async () => {
      const handle = await subject.store.generate('ec-p256');
      const publicKey = await publicKeyOf(handle);
      const inputs = Array.from({ length: 200 }, (_, i) => Buffer.from(`message ${i}`));
      const signatures = await Promise.all(
        inputs.map((data) => subject.store.sign(handle, data, { format: 'der' })),
      );
      const verdicts = await Promise.all(
        inputs.map((data, i) => verifyWith(publicKey, data, signatures[i]!, 'der')),
      );
      expect(verdicts).not.toContain(false);
    });

    describeMissing(() => subject);
    describeRefusals(() => subject);
    describeSecretKeys(() => subject);
    describeDecryption(() => subject);
  });
}

const NOTHING = Buffer.alloc(0);
const failed = { code: 'DECRYPTION_FAILED' };

function describeSecretKeys(subject: () => KeyStoreUnderTest): void {
  const typesOf = (family: string) =>
    (subject().secretKeyTypes ?? []).filter((keyType) => keyType.startsWith(family));
  const secretKeys = () => subject().store.secretKeys as SecretKeys;

  it('has keys without a public half, or says that it has none', async () => {
    const { keyTypes } = await subject().store.facts();
    const told = keyTypes.filter((keyType) => /^(aes|hmac)-/.test(keyType));
    expect([...told].sort()).toEqual([...(subject().secretKeyTypes ?? [])].sort());
  });

  it('encrypts, each time anew, and decrypts with the same key and additional data alone', async () => {
    for (const keyType of typesOf('aes-')) {
      const [handle, other] = [
        await secretKeys().generate(keyType, { label: 'a' }),
        await secretKeys().generate(keyType),
      ];
      for (const plaintext of [Buffer.of(7), DATA, Buffer.alloc(65_536, 7)])
        for (const data of [NOTHING, DATA]) {
          const sealed = await secretKeys().encrypt(handle, plaintext, data);
          expect(sealed).toHaveLength(12 + plaintext.length + 16);
          expect(sealed.equals(await secretKeys().encrypt(handle, plaintext, data))).toBe(false);
          expect((await secretKeys().decrypt(handle, sealed, data)).equals(plaintext)).toBe(true);
          for (const [key, octets, more] of changes(sealed, data, [handle, other]))
            await expect(secretKeys().decrypt(key, octets, more)).rejects.toMatchObject(failed);
        }
      await expect(secretKeys().mac(handle, DATA)).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
      for (const key of [handle, other]) await subject().store.remove(key);
    }
  });

  it('authenticates messages', async () => {
    for (const keyType of typesOf('hmac-')) {
      const [handle, other] = [
        await secretKeys().generate(keyType),
        await secretKeys().generate(keyType),
      ];
      const mac = await secretKeys().mac(handle, DATA);
      expect(mac).toHaveLength(Number(keyType.slice(-3)) / 8);
      expect(await secretKeys().mac(handle, DATA)).toEqual(mac);
      expect(await secretKeys().mac(handle, Buffer.from('other'))).not.toEqual(mac);
      expect(await secretKeys().mac(other, DATA)).not.toEqual(mac);
      await expect(secretKeys().encrypt(handle, DATA, NOTHING)).rejects.toMatchObject({
        code: 'KEY_USE_REFUSED',
      });
      for (const key of [handle, other]) await subject().store.remove(key);
      await expect(secretKeys().mac(handle, DATA)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    }
  });
}

/** Everything that must not decrypt. */
function changes(
  sealed: Buffer,
  data: Buffer,
  [handle, other]: readonly [KeyHandle, KeyHandle],
): readonly (readonly [KeyHandle, Buffer, Buffer])[] {
  const flipped = [0, 12, sealed.length - 1].map((at) => {
    const octets = Buffer.from(sealed);
    octets[at] = (octets[at] as number) ^ 1;
    return [handle, octets, data] as const;
  });
  return [
    ...flipped,
    [other, sealed, data],
    [handle, sealed, Buffer.concat([data, DATA])],
    [handle, sealed.subarray(0, -1), data],
    [handle, sealed.subarray(0, 20), data],
    [handle, NOTHING, data],
  ];
}

function describeDecryption(subject: () => KeyStoreUnderTest): void {
  it('decrypts what was encrypted to the public key, or says that it does not', async () => {
    const { store, decrypts } = subject();
    const { privateDecryption } = store;
    expect(privateDecryption !== undefined).toBe(decrypts ?? false);
    if (privateDecryption) await decryptsWhatWasEncrypted(store, privateDecryption);
  });
}

async function decryptsWhatWasEncrypted(
  store: KeyStore,
  decryption: PrivateDecryption,
): Promise<void> {
  const handle = await decryption.generate('rsa-2048', { label: 'box' });
  const key = await store.publicKey(handle);
  const publicKey = createPublicKey({ key, format: 'der', type: 'spki' });
  for (const label of [NOTHING, DATA]) {
    const ciphertext = encryptTo(publicKey, DATA, label);
    expect(await decryption.decrypt(handle, ciphertext, label)).toEqual(DATA);
    const octets = Buffer.from(ciphertext);
    octets[9] = (octets[9] as number) ^ 1;
    for (const [changed, other] of [
      [octets, label],
      [ciphertext, Buffer.from('other')],
      [ciphertext.subarray(1), label],
      [NOTHING, label],
    ] as const)
      await expect(decryption.decrypt(handle, changed, other)).rejects.toMatchObject(failed);
  }
  expect(() => encryptTo(publicKey, Buffer.alloc(191), NOTHING)).toThrow('at most 190 octets');
  await store.remove(handle);
}

function describeMissing(subject: () => KeyStoreUnderTest): void {
  it('says which keys are missing, of any kind, by what is there now — covers: T11', async () => {
    const { store, secretKeyTypes = [] } = subject();
    const [keyType] = secretKeyTypes;
    const kept = await store.generate('ec-p256');
    const removed = await store.generate('ec-p256');
    const secret = keyType && (await (store.secretKeys as SecretKeys).generate(keyType));
    const never = randomHandle();
    const asked = [removed, kept, never, ...(secret ? [secret] : [])];
    expect(await store.missing([])).toEqual([]);
    expect(await store.missing(asked)).toEqual([never]);
    await store.publicKey(removed);
    await store.remove(removed);
    expect(await store.missing(asked)).toEqual([removed, never]);
    for (const handle of asked) await store.remove(handle);
    expect(await store.missing(asked)).toEqual(asked);
  });
}

function describeRefusals(subject: () => KeyStoreUnderTest): void {
  const store = () => subject().store;
  it('does not know a key that was removed; removing twice is fine', async () => {
    const handle = await store().generate('ec-p256');
    await store().remove(handle);
    await store().remove(handle);
    const gone = { code: subject().givesBack ? 'KEY_UNAVAILABLE' : 'KEY_NOT_FOUND' };
    await expect(store().publicKey(handle)).rejects.toMatchObject(gone);
    await expect(store().sign(handle, DATA, { format: 'der' })).rejects.toMatchObject(gone);
  });

  it('covers: T67. refuses handles that are not opaque ids, on every operation', async () => {
    const bad = ['', '../secrets/x', '..%2f', 'a/b', 'a\0b', '.', 'a'.repeat(256), 'a.p8'];
    for (const handle of bad as KeyHandle[]) {
      const refused = { code: 'INVALID_ARGUMENT' };
      await expect(store().publicKey(handle)).rejects.toMatchObject(refused);
      await expect(store().sign(handle, DATA, { format: 'der' })).rejects.toMatchObject(refused);
      await expect(store().remove(handle)).rejects.toMatchObject(refused);
      await expect(store().missing([handle])).rejects.toMatchObject(refused);
    }
  });

  it('refuses a key type that it does not make', async () => {
    await expect(store().generate('dsa-1024' as PairKeyType)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
}
