import { createPublicKey, type KeyObject } from 'node:crypto';
import type { KeyType } from '@gigvault/x509/public-key';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyWith } from './key-algorithm.ts';
import type { KeyHandle, KeyStore } from './key-store.ts';

/** What the contract needs of a backend under test. */
export interface KeyStoreUnderTest {
  readonly store: KeyStore;
  /** The types to try; every backend makes `ec-p256`. */
  readonly keyTypes: readonly KeyType[];
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
      expect(subject.store.backend).toMatch(/^[a-z0-9]+$/);
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

    describeRefusals(() => subject.store);
  });
}

function describeRefusals(store: () => KeyStore): void {
  it('does not know a key that was removed; removing twice is fine', async () => {
    const handle = await store().generate('ec-p256');
    await store().remove(handle);
    await store().remove(handle);
    await expect(store().publicKey(handle)).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    });
    await expect(store().sign(handle, DATA, { format: 'der' })).rejects.toMatchObject({
      code: 'KEY_NOT_FOUND',
    });
  });

  it('covers: T67. refuses handles that are not opaque ids, on every operation', async () => {
    const bad = ['', '../secrets/x', '..%2f', 'a/b', 'a\0b', '.', 'a'.repeat(256), 'a.p8'];
    for (const handle of bad as KeyHandle[]) {
      const refused = { code: 'INVALID_ARGUMENT' };
      await expect(store().publicKey(handle)).rejects.toMatchObject(refused);
      await expect(store().sign(handle, DATA, { format: 'der' })).rejects.toMatchObject(refused);
      await expect(store().remove(handle)).rejects.toMatchObject(refused);
    }
  });

  it('refuses a key type that it does not make', async () => {
    await expect(store().generate('dsa-1024' as KeyType)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
}
