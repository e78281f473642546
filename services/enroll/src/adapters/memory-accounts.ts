import type { Account, Accounts } from '../ports/accounts.ts';

/** Accounts in memory, for tests of flows. */
export function memoryAccounts(): Accounts {
  const byId = new Map<string, Account>();
  const byKey = (thumbprint: string) =>
    [...byId.values()].find((account) => account.jwkThumbprint === thumbprint);

  function replace(accountId: string, change: Partial<Account>): Account | undefined {
    const account = byId.get(accountId);
    if (account?.status !== 'valid') return undefined;
    const changed = { ...account, ...change };
    byId.set(accountId, changed);
    return changed;
  }

  return {
    async create(account) {
      const existing = byKey(account.jwkThumbprint);
      if (existing) return { account: existing, created: false };
      byId.set(account.accountId, account);
      return { account, created: true };
    },
    find: async (key) => ('accountId' in key ? byId.get(key.accountId) : byKey(key.jwkThumbprint)),
    update: async (accountId, change) => replace(accountId, change),
    async changeKey(accountId, from, to) {
      const holder = byKey(to.jwkThumbprint);
      if (holder) return holder;
      return byId.get(accountId)?.jwkThumbprint === from ? replace(accountId, to) : undefined;
    },
  };
}
