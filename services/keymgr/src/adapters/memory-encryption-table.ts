import type { EncryptionTable } from '../ports/encryption-table.ts';
import type { KeyTable } from '../ports/key-table.ts';

/** An EncryptionTable for tests of flows, beside the table of keys. */
export function memoryEncryptionTable(keys: Pick<KeyTable, 'recordUse'>): EncryptionTable {
  const counts = new Map<string, number>();
  return {
    async record(key, event, limit) {
      const version = `${key.keyId}@${key.version}`;
      const count = counts.get(version) ?? 0;
      if (count >= limit) return 'exhausted';
      counts.set(version, count + 1);
      if (await keys.recordUse(key, event)) return 'recorded';
      counts.set(version, count);
      return 'changed';
    },
  };
}
