import { createEventLog } from '@gigvault/database/event-log';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { EnrollInit1700000000000 } from '../migrations/1700000000000-enroll-init.ts';
import { pgAccounts } from '../src/adapters/pg-accounts.ts';
import { pgOrders } from '../src/adapters/pg-orders.ts';
import { accountsContract, someAccount } from '../src/ports/accounts.contract.ts';
import type { Accounts } from '../src/ports/accounts.ts';
import { ordersContract, someOrder } from '../src/ports/orders.contract.ts';
import type { OrderSweep, Orders } from '../src/ports/orders.ts';

let database: TestDatabase;
let pool: Pool;
let accounts: Accounts;
let orders: Orders & OrderSweep;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('enroll', [EnrollInit1700000000000]);
  const eventLog = createEventLog({
    pool,
    producer: 'enroll',
    consumers: ['audit', 'notify'],
    clock: systemClock,
  });
  accounts = pgAccounts(pool, eventLog);
  orders = pgOrders(pool, eventLog);
});

afterAll(() => database.stop());

async function newAccount(): Promise<string> {
  const account = someAccount();
  await accounts.create(account);
  return account.accountId;
}

async function eventsOf(subject: string): Promise<string[]> {
  const { rows } = await pool.query<{ type: string }>(
    'SELECT type FROM outbox WHERE subject = $1 ORDER BY position',
    [subject],
  );
  return rows.map((row) => row.type);
}

describe('pgAccounts', () => {
  accountsContract(() => accounts);

  it('writes an event for every change, and none for what did not change', async () => {
    const account = someAccount();
    await accounts.create(account);
    await accounts.create({ ...account, accountId: 'another' });
    await accounts.update(account.accountId, { contact: [] });
    await accounts.changeKey(account.accountId, account.jwkThumbprint, {
      jwk: account.jwk,
      jwkThumbprint: 'changed',
    });
    await accounts.update(account.accountId, { status: 'deactivated' });
    await accounts.update(account.accountId, { contact: [] });
    expect(await eventsOf(account.accountId)).toEqual([
      'account.created',
      'account.updated',
      'account.key-changed',
      'account.deactivated',
    ]);
    expect(await eventsOf('another')).toEqual([]);
  });
});

describe('pgOrders', () => {
  ordersContract(() => orders, newAccount);

  it('writes events with the change, and nothing when the event cannot be written', async () => {
    const order = someOrder(await newAccount(), { status: 'ready' });
    await orders.create(order);
    const eventLog = createEventLog({
      pool,
      producer: 'enroll',
      consumers: [],
      clock: systemClock,
    });
    const failing = pgOrders(pool, {
      ...eventLog,
      change: (change) =>
        eventLog.change({
          ...change,
          events: change.events.map(({ key, event }) => ({
            key,
            event: { ...event, subject: null as never },
          })),
        }),
    });
    const finalize = {
      from: 'ready',
      to: 'processing',
      certificationRequest: Buffer.from('csr'),
      resumeAt: 1,
    } as const;
    await expect(failing.step(order, finalize)).rejects.toThrow();
    expect((await orders.find(order.orderId))?.status).toBe('ready');
    await orders.step(order, {
      from: 'ready',
      to: 'ready',
      refused: Buffer.from('csr'),
      error: { code: 'BAD_PUBLIC_KEY', message: 'no' },
    });
    await orders.step(order, finalize);
    await orders.step(order, {
      from: 'processing',
      to: 'invalid',
      error: { code: 'FORBIDDEN', message: 'no' },
    });
    expect(await eventsOf(order.orderId)).toEqual([
      'order.created',
      'order.refused',
      'order.finalized',
      'order.invalid',
    ]);
  });

  it('reads every growing table by an index', async () => {
    const client = await pool.connect();
    try {
      await client.query('SET enable_seqscan = off');
      const plans = [
        "SELECT 1 FROM order_ WHERE account_id = 'a' AND status <> 'invalid' ORDER BY created_at DESC, order_id DESC LIMIT 1",
        "SELECT 1 FROM order_ WHERE account_id = 'a' AND status IN ('pending', 'ready') LIMIT 1",
        "SELECT created_at FROM order_ WHERE account_id = 'a' ORDER BY created_at DESC, order_id DESC OFFSET 9 LIMIT 1",
        "SELECT order_id FROM order_ WHERE status = 'processing' AND (resume_at <= 1 OR resume_at > 9) ORDER BY resume_at LIMIT 1",
        "SELECT 1 FROM order_ WHERE status IN ('pending', 'ready') AND expires_at <= 1 ORDER BY expires_at LIMIT 1",
        "SELECT 1 FROM order_ WHERE status IN ('valid', 'invalid') AND expires_at <= 1 ORDER BY expires_at LIMIT 1",
        "SELECT 1 FROM account WHERE jwk_thumbprint = 'a'",
      ];
      for (const query of plans) {
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${query}`);
        expect(rows.map((row) => row['QUERY PLAN']).join('\n')).not.toContain('Seq Scan');
      }
    } finally {
      client.release(true);
    }
  });
});
