import type { EventLog } from '@gigvault/database/event-log';
import { createLookup } from '@gigvault/database/lookup';
import type { NewEvent } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import { requesterOf } from '../account/requester.ts';
import type { PublicJwk } from '../jws/jwk.ts';
import type { Account, AccountKey, Accounts } from '../ports/accounts.ts';

const COLUMNS =
  'account_id, jwk, jwk_thumbprint, contact, status, terms_of_service_agreed, created_at';

interface Row {
  readonly account_id: string;
  readonly jwk: PublicJwk;
  readonly jwk_thumbprint: string;
  readonly contact: string[];
  readonly status: Account['status'];
  readonly terms_of_service_agreed: boolean;
  readonly created_at: string | number;
}

interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

const BY_ID = {
  name: 'account_by_id',
  text: `SELECT ${COLUMNS} FROM account WHERE account_id = ANY ($1)`,
};

const BY_KEY = {
  name: 'account_by_key',
  text: `SELECT ${COLUMNS} FROM account WHERE jwk_thumbprint = $1`,
};

/** Accounts in the table `account`; each change commits with its event. */
export function pgAccounts(pool: Pool, eventLog: EventLog): Accounts {
  async function change(
    statement: Statement,
    event: (account: Account) => NewEvent,
  ): Promise<Account | undefined> {
    return transaction(pool, async (client) => {
      const account = await one(client, statement);
      if (account) await eventLog.append(client, [event(account)]);
      return account;
    });
  }

  // Every signed request begins with it: those that come together share one statement.
  const findById = createLookup('enroll.account', async (ids: readonly string[]) => {
    const { rows } = await query<Row>(pool, { ...BY_ID, values: [ids] });
    return new Map(rows.map((row) => [row.account_id, toAccount(row)]));
  });

  async function find(key: AccountKey): Promise<Account | undefined> {
    return 'accountId' in key
      ? findById(key.accountId)
      : one(pool, { ...BY_KEY, values: [key.jwkThumbprint] });
  }

  return {
    find,
    async create(account) {
      const created = await change(insertion(account), (made) =>
        event('account.created', made, {
          jwkThumbprint: made.jwkThumbprint,
          contact: made.contact,
        }),
      );
      if (created) return { account: created, created: true };
      // Nothing deletes accounts, so the one that stood in the way is still there.
      return { account: (await find({ jwkThumbprint: account.jwkThumbprint }))!, created: false };
    },
    update: (accountId, wanted) =>
      'contact' in wanted
        ? change(
            {
              name: 'account_contact',
              text: `UPDATE account SET contact = $2 WHERE account_id = $1 AND status = 'valid' RETURNING ${COLUMNS}`,
              values: [accountId, wanted.contact],
            },
            (account) => event('account.updated', account, { contact: account.contact }),
          )
        : change(
            {
              name: 'account_deactivate',
              text: `UPDATE account SET status = 'deactivated' WHERE account_id = $1 AND status = 'valid' RETURNING ${COLUMNS}`,
              values: [accountId],
            },
            (account) => event('account.deactivated', account, {}),
          ),
    async changeKey(accountId, from, to) {
      const changed = await change(keyChange(accountId, from, to), (account) =>
        event('account.key-changed', account, { from, to: to.jwkThumbprint }),
      );
      return changed ?? find({ jwkThumbprint: to.jwkThumbprint });
    },
  };
}

function keyChange(
  accountId: string,
  from: string,
  to: Pick<Account, 'jwk' | 'jwkThumbprint'>,
): Statement {
  return {
    name: 'account_key',
    text: `UPDATE account SET jwk = $3, jwk_thumbprint = $4
           WHERE account_id = $1 AND jwk_thumbprint = $2 AND status = 'valid'
             AND NOT EXISTS (SELECT 1 FROM account WHERE jwk_thumbprint = $4)
           RETURNING ${COLUMNS}`,
    values: [accountId, from, to.jwk, to.jwkThumbprint],
  };
}

function insertion(account: Account): Statement {
  return {
    name: 'account_create',
    text: `INSERT INTO account (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
           ON CONFLICT (jwk_thumbprint) DO NOTHING RETURNING ${COLUMNS}`,
    values: [
      account.accountId,
      account.jwk,
      account.jwkThumbprint,
      account.contact,
      account.status,
      account.termsOfServiceAgreed,
      account.createdAt,
    ],
  };
}

function event(type: string, account: Account, data: object): NewEvent {
  return { type, actor: requesterOf(account.accountId), subject: account.accountId, data };
}

async function one(client: Pool | PoolClient, statement: Statement): Promise<Account | undefined> {
  const { rows } = await query<Row>(client, statement);
  const row = rows[0];
  return row && toAccount(row);
}

function toAccount(row: Row): Account {
  return {
    accountId: row.account_id,
    jwk: row.jwk,
    jwkThumbprint: row.jwk_thumbprint,
    contact: row.contact,
    status: row.status,
    termsOfServiceAgreed: row.terms_of_service_agreed,
    createdAt: Number(row.created_at),
  };
}
