import type { Clock } from '@gigvault/time/clock';
import { LRUCache } from 'lru-cache';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';

const MAX_AGE = 1_000;
const MAX_KEYS = 1_000;

/**
 * Remembers rows that were found for one second: a change of state takes effect within that. What was not found is asked again. For the
 * signatures of services; whatever is about a person's key asks the table.
 */
export function cachedKeyTable(
  table: Pick<KeyTable, 'find'>,
  clock: Clock,
): Pick<KeyTable, 'find'> {
  const cache = new LRUCache<string, { readonly key: StoredKey; readonly until: number }>({
    max: MAX_KEYS,
  });

  return {
    async find(keyId) {
      const known = cache.get(keyId);
      if (known !== undefined && clock.now() < known.until) return known.key;
      const key = await table.find(keyId);
      cache.delete(keyId);
      if (key === undefined) return undefined;
      cache.set(keyId, { key, until: clock.now() + MAX_AGE });
      return key;
    },
  };
}
