import { LRUCache } from 'lru-cache';
import type { Account, Accounts } from '../ports/accounts.ts';

/** Milliseconds. */
const REMEMBERED = 1_000;

/**
 * Remembers the last `max` valid accounts that were found by id, since an issuance is seven signed requests within a second. What this process
 * changes counts at once; what another one changes, after `ttl` milliseconds at most.
 */
export function rememberedAccounts(accounts: Accounts, max: number, ttl = REMEMBERED): Accounts {
  const known = new LRUCache<string, Account>({ max, ttl });
  let changes = 0;

  async function find(accountId: string): Promise<Account | undefined> {
    const before = changes;
    const account = await accounts.find({ accountId });
    // What was read while something changed may be from before the change.
    if (account?.status === 'valid' && changes === before) known.set(accountId, account);
    return account;
  }

  /** Also when the change failed: after a lost connection nobody knows whether it was made. */
  async function changing<T>(accountId: string, change: Promise<T>): Promise<T> {
    try {
      return await change;
    } finally {
      changes++;
      known.delete(accountId);
    }
  }

  return {
    create: (account) => accounts.create(account),
    find: async (key) =>
      'accountId' in key ? (known.get(key.accountId) ?? find(key.accountId)) : accounts.find(key),
    update: (accountId, change) => changing(accountId, accounts.update(accountId, change)),
    changeKey: (accountId, from, to) =>
      changing(accountId, accounts.changeKey(accountId, from, to)),
  };
}
