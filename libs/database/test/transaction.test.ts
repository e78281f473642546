import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { databaseError, isUniqueViolation } from '../src/database-error.ts';
import { servicePool } from '../src/pools.ts';
import { query } from '../src/query.ts';
import { transaction } from '../src/transaction.ts';

class Init1700000000000 implements MigrationInterface {
  readonly name = 'Init1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE thing (id int CONSTRAINT thing_id PRIMARY KEY)');
  }
  async down(): Promise<void> {}
}

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('ca', [Init1700000000000]);
});
afterAll(() => database.stop());

async function things(): Promise<number[]> {
  return (await pool.query('SELECT id FROM thing ORDER BY id')).rows.map(({ id }) => id);
}

describe('transaction', () => {
  it('commits what run did, and returns its value', async () => {
    expect(
      await transaction(
        pool,
        async (client) => (await client.query('INSERT INTO thing VALUES (1)')).rowCount,
      ),
    ).toBe(1);
    expect(await things()).toEqual([1]);
  });

  it('rolls back and passes the error on; a violated constraint keeps its name', async () => {
    const failed = transaction(pool, async (client) => {
      await client.query('INSERT INTO thing VALUES (2)');
      await client.query('INSERT INTO thing VALUES (1)');
    });
    const error = await failed.catch((caught: unknown) => caught);
    expect(isUniqueViolation(error, 'thing_id')).toBe(true);
    expect(isUniqueViolation(error, 'other')).toBe(false);
    expect(await things()).toEqual([1]);
  });

  it('does not report success when a statement failed and nobody said so', async () => {
    const swallowed = transaction(pool, async (client) => {
      await client.query('INSERT INTO thing VALUES (3)');
      await client.query('SELECT 1/0').catch(() => undefined);
    });
    await expect(swallowed).rejects.toThrow('not passed on');
    expect(await things()).toEqual([1]);
  });

  it('says UNAVAILABLE when the connection is lost, and the pool recovers', async () => {
    const lost = transaction(pool, async (client) => {
      await client.query('INSERT INTO thing VALUES (4)');
      await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
    });
    await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await things()).toEqual([1]);
  });

  it("says the same of a single statement, in the house's words", async () => {
    expect((await query(pool, { text: 'SELECT $1::int AS n', values: [7] })).rows).toEqual([
      { n: 7 },
    ]);
    const nowhere = new Pool({ host: '/nonexistent' });
    await expect(query(nowhere, 'SELECT 1')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(query(pool, 'SELECT 1/0')).rejects.toThrow('division by zero');
  });

  it('says UNAVAILABLE when nobody listens, DEADLINE_EXCEEDED when a statement is too slow', async () => {
    const nowhere = new Pool({ host: '/nonexistent' });
    await expect(transaction(nowhere, async () => 1)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      retryAfter: 1,
    });
    const slow = transaction(pool, async (client) => {
      await client.query("SET LOCAL statement_timeout = '5ms'");
      await client.query('SELECT pg_sleep(5)');
    });
    await expect(slow).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('says CONFLICT to the loser of a deadlock', async () => {
    await pool.query('INSERT INTO thing VALUES (10), (11)');
    const hold = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const lock = (first: number, second: number, mine: number) =>
      transaction(pool, async (client) => {
        await client.query('SELECT 1 FROM thing WHERE id = $1 FOR UPDATE', [first]);
        hold[mine]!.resolve();
        await hold[1 - mine]!.promise;
        await client.query('SELECT 1 FROM thing WHERE id = $1 FOR UPDATE', [second]);
      });
    const results = await Promise.allSettled([lock(10, 11, 0), lock(11, 10, 1)]);
    expect(results.filter(({ status }) => status === 'rejected')).toEqual([
      { status: 'rejected', reason: expect.objectContaining({ code: 'CONFLICT' }) },
    ]);
  });

  it('gives up a server that has gone silent, and the pool goes on with another connection', async () => {
    const impatient = servicePool({
      connection: { host: database.admin.host!, port: database.admin.port! },
      database: database.admin.database!,
      service: 'ca',
      password: String(pool.options.password),
      log: silentLog,
      statementTimeout: 100,
    });
    let pid = 0;
    try {
      const silent = transaction(impatient, async (client) => {
        pid = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
        process.kill(pid, 'SIGSTOP');
        await client.query('INSERT INTO thing VALUES (20)');
      });
      await expect(silent).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect((await query(impatient, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      expect(await things()).not.toContain(20);
    } finally {
      if (pid > 0) process.kill(pid, 'SIGCONT');
      await impatient.end();
    }
  });

  it('knows a full disk by its SQLSTATE', () => {
    const full = Object.assign(new Error('could not extend file'), { code: '53100' });
    expect(databaseError(full)).toMatchObject({ code: 'UNAVAILABLE', retryAfter: 30 });
  });
});
