import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, type Pool } from 'pg';
import { circuitBreaker, underBreaker } from '../src/adapters/circuit-breaker.ts';
import { pgBackendTestTable } from '../src/adapters/pg-backend-test-table.ts';
import { pgEncryptionTable } from '../src/adapters/pg-encryption-table.ts';
import { pgKeyTable } from '../src/adapters/pg-key-table.ts';
import { pgKeyUsage } from '../src/adapters/pg-key-usage.ts';
import { pgSignatureTable } from '../src/adapters/pg-signature-table.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import type { TestKey } from '../src/ports/backend-test-table.ts';
import { describeEncryptionTable } from '../src/ports/encryption-table.contract.ts';
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

describe('a database that lets nobody in', () => {
  it('is not asked again and again, and is asked again once it does', async () => {
    const breaker = circuitBreaker(silentLog, systemClock);
    const inner = pgKeyTable(pool, eventLog);
    let asked = 0;
    const counted = {
      find(keyId: string) {
        asked += 1;
        return inner.find(keyId);
      },
    };
    const table = underBreaker(counted, breaker);
    const admin = new Client(database.admin);
    await admin.connect();
    const { rows } = await pool.query<{ role: string }>('SELECT current_user AS role');
    const role = rows[0]?.role as string;
    try {
      const keyId = await storedKeyId();
      await admin.query(`ALTER ROLE ${role} NOLOGIN`);
      await admin.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1',
        [role],
      );
      for (let n = 0; n < 20; n++)
        await expect(table.find(keyId)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect(asked).toBeLessThan(20);
      await admin.query(`ALTER ROLE ${role} LOGIN`);
      await eventually(async () => expect(await table.find(keyId)).toMatchObject({ keyId }));
    } finally {
      await admin.query(`ALTER ROLE ${role} LOGIN`);
      await admin.end();
    }
  });
});

describeKeyTable('PostgreSQL', async () => ({
  table: pgKeyTable(pool, eventLog),
  events: subjects,
}));

describeEncryptionTable('PostgreSQL, two processes', async () => ({
  tables: [pgEncryptionTable(pool, eventLog), pgEncryptionTable(pool, eventLog)],
  keys: pgKeyTable(pool, eventLog),
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
  it('become one event a key, purpose and caller with their count; refusals are told at once, and how often they were repeated', async () => {
    const usage = pgKeyUsage({
      pool,
      eventLog,
      breaker: circuitBreaker(silentLog, systemClock),
      clock: systemClock,
      log: silentLog,
    });
    const use = { keyId: 'ocsp-issuing', purpose: 'ocspSign', caller: 'ocsp' } as const;
    for (let i = 0; i < 1000; i += 1) usage.used(use);
    for (let i = 0; i < 1000; i += 1)
      await usage.refused({ ...use, caller: 'enroll' }, 'enroll may not ask for it');
    await usage.worker.start();
    await usage.worker.stop();
    const events = (await outbox()).filter(({ subject }) => subject === 'ocsp-issuing');
    expect(events).toMatchObject([
      { type: 'key.refused', data: { caller: 'enroll', reason: 'enroll may not ask for it' } },
      { type: 'key.used', data: { purpose: 'ocspSign', caller: 'ocsp', count: 1000 } },
      { type: 'key.refused', data: { caller: 'enroll', count: 999 } },
    ]);
  });
});

describe('keys of tests of backends', () => {
  it('are those of a backend that were begun before then, until they are removed', async () => {
    const tests = pgBackendTestTable(pool);
    const key = (backend: string, name: string): TestKey => ({
      backend,
      name: parseKeyHandle(name),
      keyType: 'ec-p256',
    });
    const [early, late, elsewhere] = [
      key('token', 'early'),
      key('token', 'late'),
      key('other', 'elsewhere'),
    ];
    await tests.begin(late, 2_000);
    await tests.begin(early, 1_000);
    await tests.begin(elsewhere, 1_000);
    expect(await tests.begunBefore('token', 2_000)).toEqual([early]);
    expect(await tests.begunBefore('token', 2_001)).toEqual([early, late]);
    await tests.end(early);
    expect(await tests.begunBefore('token', 2_001)).toEqual([late]);
    expect(await tests.begunBefore('other', 2_001)).toEqual([elsewhere]);
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
