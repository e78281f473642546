import type { KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { importJwk } from '../jws/jwk.ts';
import type { Account } from '../ports/accounts.ts';

/** The keys of the last `max` accounts that signed something, imported. Keyed by thumbprint, so it can never be stale. */
export function accountKeys(max: number): (account: Account) => KeyObject {
  const keys = new LRUCache<string, KeyObject>({ max });
  return (account) => {
    const cached = keys.get(account.jwkThumbprint);
    if (cached) return cached;
    const key = importJwk(account.jwk);
    keys.set(account.jwkThumbprint, key);
    return key;
  };
}
