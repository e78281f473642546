import { beforeEach, describe, expect, it } from '@jest/globals';
import { accountsContract, someAccount } from '../ports/accounts.contract.ts';
import type { Account, Accounts } from '../ports/accounts.ts';
import { memoryAccounts } from './memory-accounts.ts';
import { rememberedAccounts } from './remembered-accounts.ts';

let kept: Accounts;
let reads: number;
/** What a read waits for, after it has read. */
let slow: Promise<void> | undefined;
let accounts: Accounts;
let account: Account;
const found = () => accounts.find({ accountId: account.accountId });

beforeEach(async () => {
  kept = memoryAccounts();
  reads = 0;
  slow = undefined;
  const counted: Accounts = {
    ...kept,
    async find(key) {
      reads++;
      const read = await kept.find(key);
      await slow;
      return read;
    },
  };
  accounts = rememberedAccounts(counted, 10, 60_000);
  account = someAccount();
  await kept.create(account);
});

describe('rememberedAccounts', () => {
  accountsContract(() => accounts);

  it('reads a valid account once', async () => {
    expect(await found()).toEqual(account);
    expect(await found()).toEqual(account);
    expect(reads).toBe(1);
  });

  it('sees what is changed here at once — covers: T38', async () => {
    await found();
    await accounts.update(account.accountId, { contact: [] });
    expect((await found())?.contact).toEqual([]);
    const to = { jwk: account.jwk, jwkThumbprint: 'another' };
    await accounts.changeKey(account.accountId, account.jwkThumbprint, to);
    expect((await found())?.jwkThumbprint).toBe('another');
    await accounts.update(account.accountId, { status: 'deactivated' });
    expect((await found())?.status).toBe('deactivated');
  });

  it('does not remember what was read before a change and arrived after it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    slow = promise;
    const before = found();
    await accounts.update(account.accountId, { status: 'deactivated' });
    resolve();
    expect((await before)?.status).toBe('valid');
    expect((await found())?.status).toBe('deactivated');
  });

  it('forgets after a change of which nobody knows whether it was made', async () => {
    await found();
    accounts = rememberedAccounts(
      {
        ...kept,
        async update(accountId, change) {
          await kept.update(accountId, change);
          throw new Error('connection lost');
        },
      },
      10,
      60_000,
    );
    await found();
    await expect(accounts.update(account.accountId, { status: 'deactivated' })).rejects.toThrow();
    expect((await found())?.status).toBe('deactivated');
  });

  it('sees what others change when its time is over', async () => {
    accounts = rememberedAccounts(kept, 10, 1);
    await found();
    await kept.update(account.accountId, { status: 'deactivated' });
    const until = performance.now() + 5;
    while (performance.now() < until);
    expect((await found())?.status).toBe('deactivated');
  });

  it('asks again for one that is not there', async () => {
    expect(await accounts.find({ accountId: 'later' })).toBeUndefined();
    await kept.create({ ...someAccount(), accountId: 'later' });
    expect(await accounts.find({ accountId: 'later' })).toBeDefined();
  });
});
