import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { pgKeyTable } from '../src/adapters/pg-key-table.ts';
import { pgKeyUsage } from '../src/adapters/pg-key-usage.ts';
import { pgSignatureTable } from '../src/adapters/pg-signature-table.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { describeKeyTable, generated, someKey } from '../src/ports/key-table.contract.ts';
import { describeSignatureTable } from '../src/ports/signature-table.contract.ts';

let database: TestDatabase;
let pool: Pool;
let eventLog: EventLog;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
  eventLog = createEventLog({ pool, producer: 'keymgr', consumers: ['audit'], clock: systemClock });
});
afterAll(() => database?.stop());

interface OutboxRow {
  readonly type: string;
  readonly subject: string;
  readonly data: Buffer;
}

async function outbox(): Promise<
  readonly { type: string; subject: string; data: { count?: number } }[]
> {
  const { rows } = await pool.query<OutboxRow>(
    'SELECT type, subject, data FROM outbox ORDER BY position',
  );
  return rows.map((row) => ({ ...row, data: JSON.parse(row.data.toString('utf8')) }));
}

const subjects = async () => (await outbox()).map(({ subject }) => subject);

async function storedKeyId(): Promise<string> {
  const key = someKey();
  await pgKeyTable(pool, eventLog).insert(key, generated(key));
  return key.keyId;
}

describeKeyTable('PostgreSQL', async () => ({
  table: pgKeyTable(pool, eventLog),
  events: subjects,
}));

describeSignatureTable('PostgreSQL, two processes', async () => ({
  tables: [
    pgSignatureTable(pool, eventLog, systemClock),
    pgSignatureTable(pool, eventLog, systemClock),
  ],
  keyId: await storedKeyId(),
  events: subjects,
}));

describe('recorded signatures', () => {
  it('share transactions and events, and every one of them is in an event', async () => {
    const keyId = await storedKeyId();
    const table = pgSignatureTable(pool, eventLog, systemClock);
    const items = Array.from({ length: 300 }, () => ({
      intentId: crypto.randomUUID() as string,
      keyId,
      purpose: 'certSign' as const,
      caller: 'ca' as const,
      tbsSha256: Buffer.alloc(32, 1),
      signature: Buffer.alloc(70, 2),
    }));
    await Promise.all(items.map((item) => table.record(item)));
    const used = (await outbox()).filter(
      ({ type, subject }) => type === 'key.used' && subject === keyId,
    );
    expect(used.length).toBeLessThanOrEqual(3);
    const told = used.flatMap(
      ({ data }) => (data as { signatures: { intentId: string }[] }).signatures,
    );
    expect(told.map(({ intentId }) => intentId).sort()).toEqual(
      items.map((item) => item.intentId).sort(),
    );
  });

  it('cannot be half a record', async () => {
    const insert = `INSERT INTO signature (intent_id, signature, tombstoned, created_at) VALUES ($1, $2, $3, now())`;
    for (const tombstoned of [true, false]) {
      await expect(
        pool.query(insert, [crypto.randomUUID(), Buffer.of(1), tombstoned]),
      ).rejects.toThrow('check');
    }
  });
});

describe('uses that are not recorded one by one', () => {
  it('become one event a key, purpose and caller with their count; refusals are told at once', async () => {
    const usage = pgKeyUsage({ pool, eventLog, clock: systemClock, log: silentLog });
    const use = { keyId: 'ocsp-issuing', purpose: 'ocspSign', caller: 'ocsp' } as const;
    for (let i = 0; i < 1000; i += 1) usage.used(use);
    await usage.refused({ ...use, caller: 'enroll' }, 'enroll may not ask for it');
    await usage.worker.start();
    await usage.worker.stop();
    const events = (await outbox()).filter(({ subject }) => subject === 'ocsp-issuing');
    expect(events).toMatchObject([
      { type: 'key.refused', data: { caller: 'enroll', reason: 'enroll may not ask for it' } },
      { type: 'key.used', data: { purpose: 'ocspSign', caller: 'ocsp', count: 1000 } },
    ]);
  });
});

describe('queries', () => {
  it('use an index', async () => {
    const client = await pool.connect();
    try {
      // Empty tables are scanned whatever the indexes are.
      await client.query('SET enable_seqscan = off');
      for (const sql of [
        `SELECT 1 FROM key WHERE key_id = 'k'`,
        `SELECT 1 FROM key WHERE key_id > 'k' ORDER BY key_id LIMIT 10`,
        `SELECT 1 FROM signature WHERE intent_id = ANY(ARRAY['${crypto.randomUUID()}']::uuid[])`,
      ]) {
        const { rows } = await client.query<Record<string, string>>(`EXPLAIN ${sql}`);
        expect(rows.map((row) => row['QUERY PLAN']).join('\n')).not.toContain('Seq Scan');
      }
    } finally {
      client.release(true);
    }
  });
});
