import { expect, it } from '@jest/globals';
import type { Account, Accounts } from './accounts.ts';

let made = 0;

/** An account with a key that no other has. */
export function someAccount(): Account {
  made++;
  return {
    accountId: `account-${made}`,
    jwk: { crv: 'P-256', kty: 'EC', x: 'x', y: 'y' },
    jwkThumbprint: `thumbprint-${made}`,
    contact: ['mailto:a@example.com'],
    status: 'valid',
    termsOfServiceAgreed: true,
    createdAt: 1_700_000_000_000,
  };
}

/** What every Accounts must do. Call it within a describe. */
export function accountsContract(subject: () => Accounts): void {
  it('keeps an account and finds it by id and by key', async () => {
    const account = someAccount();
    expect(await subject().create(account)).toEqual({ account, created: true });
    expect(await subject().find({ accountId: account.accountId })).toEqual(account);
    expect(await subject().find({ jwkThumbprint: account.jwkThumbprint })).toEqual(account);
    expect(await subject().find({ accountId: 'nobody' })).toBeUndefined();
  });

  it('makes one account for a key, however many ask at once', async () => {
    const account = someAccount();
    const all = Array.from({ length: 8 }, (_, i) => ({
      ...account,
      accountId: `${account.accountId}-${i}`,
    }));
    const results = await Promise.all(all.map((one) => subject().create(one)));
    expect(results.filter((result) => result.created)).toHaveLength(1);
    expect(new Set(results.map((result) => result.account.accountId)).size).toBe(1);
  });

  it('changes valid accounts only', async () => {
    const account = someAccount();
    await subject().create(account);
    expect((await subject().update(account.accountId, { contact: [] }))?.contact).toEqual([]);
    expect((await subject().update(account.accountId, { status: 'deactivated' }))?.status).toBe(
      'deactivated',
    );
    expect(
      await subject().update(account.accountId, { contact: ['mailto:b@example.com'] }),
    ).toBeUndefined();
    expect((await subject().find({ accountId: account.accountId }))?.contact).toEqual([]);
  });

  it('gives an account another key, once', async () => {
    const account = someAccount();
    const other = someAccount();
    await subject().create(account);
    await subject().create(other);
    const to = {
      jwk: { ...account.jwk, x: 'z' } as Account['jwk'],
      jwkThumbprint: `${account.jwkThumbprint}-new`,
    };
    expect(await subject().changeKey(account.accountId, account.jwkThumbprint, to)).toMatchObject({
      ...to,
      accountId: account.accountId,
    });
    expect(
      await subject().changeKey(account.accountId, account.jwkThumbprint, {
        ...to,
        jwkThumbprint: 'third',
      }),
    ).toBeUndefined();
    const taken = await subject().changeKey(account.accountId, to.jwkThumbprint, other);
    expect(taken?.accountId).toBe(other.accountId);
    expect((await subject().find({ accountId: account.accountId }))?.jwkThumbprint).toBe(
      to.jwkThumbprint,
    );
  });
}
