import { describe, expect, it } from '@jest/globals';
import type { StoredKey } from '../keys/stored-key.ts';
import type { EncryptionTable } from './encryption-table.ts';
import type { KeyEvent } from './key-event.ts';
import { generated, personsKey, someKey } from './key-table.contract.ts';
import type { KeyTable } from './key-table.ts';

/** A key that encrypts. */
export function encryptingKey(): StoredKey {
  return personsKey({ keyType: 'aes-256', usage: 'encrypt', publicKey: null });
}

const used = (key: StoredKey): KeyEvent => ({
  type: 'key.used',
  actor: 'test',
  subject: key.keyId,
  data: {},
});

/** What every EncryptionTable must do. `events` are the subjects of all events so far; `tables` count together. */
export function describeEncryptionTable(
  name: string,
  make: () => Promise<{
    tables: readonly EncryptionTable[];
    keys: KeyTable;
    events(): Promise<readonly string[]>;
  }>,
): void {
  describe(`EncryptionTable contract: ${name}`, () => {
    async function stored() {
      const { tables, keys, events } = await make();
      const key = encryptingKey();
      await keys.insert(key, generated(key));
      const told = async () => (await events()).filter((subject) => subject === key.keyId).length;
      const record = (limit: number, of = key, n = 0) =>
        (tables[n % tables.length] as EncryptionTable).record(of, used(key), limit);
      return { keys, key, record, told };
    }

    it('finds keys without a public half as they were stored', async () => {
      const { keys, key } = await stored();
      expect(await keys.find(key.keyId)).toEqual(key);
      const { publicKey } = someKey();
      const pair = personsKey({ keyType: 'rsa-2048', usage: 'encrypt', publicKey });
      await keys.insert(pair, generated(pair));
      expect(await keys.find(pair.keyId)).toMatchObject({ usage: 'encrypt' });
    });

    it('counts up to the limit, whoever asks at the same time, and tells of each', async () => {
      const { key, record, told } = await stored();
      const outcomes = await Promise.all(
        Array.from({ length: 12 }, async (_, n) => {
          // What one process could not count because all of them together were too many comes again.
          for (;;) {
            const outcome = await record(7, key, n);
            if (outcome !== 'changed') return outcome;
          }
        }),
      );
      expect(outcomes.filter((outcome) => outcome === 'recorded')).toHaveLength(7);
      expect(outcomes.filter((outcome) => outcome === 'exhausted')).toHaveLength(5);
      expect(await told()).toBe(8);
      expect(await record(7)).toBe('exhausted');
    });

    it('counts each version by itself, and none of a key that has changed', async () => {
      const { keys, key, record } = await stored();
      expect(await record(1)).toBe('recorded');
      const { handle } = someKey();
      const next = { ...key, version: 2, handle };
      await keys.rotate(key, next, generated(key));
      expect(await record(5)).toBe('changed');
      expect(await record(1, next)).toBe('recorded');
      expect(await record(1, next)).toBe('exhausted');
      await keys.move(
        next,
        { state: 'suspended', destroyAt: null, restoreState: null, destroyBy: [] },
        generated(key),
      );
      expect(await record(5, next)).toBe('changed');
    });
  });
}
