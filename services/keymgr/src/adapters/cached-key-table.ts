import type { Clock } from '@gigvault/time/clock';
import { LRUCache } from 'lru-cache';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyTable } from '../ports/key-table.ts';

const MAX_AGE = 1_000;
const MAX_KEYS = 1_000;

/**
 * Remembers rows for one second after they were asked for: a change of state takes effect within that, and at once when the clock is set back. What was not found is
 * asked again. For the signatures of services; whatever is about a person's key asks the table.
 */
export function cachedKeyTable(
  table: Pick<KeyTable, 'find'>,
  clock: Clock,
): Pick<KeyTable, 'find'> {
  const cache = new LRUCache<string, { readonly key: StoredKey; readonly until: number }>({
    max: MAX_KEYS,
  });
  let latest = 0;

  return {
    async find(keyId) {
      // Not elapsed(), which takes as long as a signature.
      const now = clock.now();
      // Nobody knows how old they are.
      if (now < latest) cache.clear();
      latest = now;
      const known = cache.get(keyId);
      if (known !== undefined && now < known.until) return known.key;
      const key = await table.find(keyId);
      cache.delete(keyId);
      if (key === undefined) return undefined;
      cache.set(keyId, { key, until: now + MAX_AGE });
      return key;
    },
  };
}
