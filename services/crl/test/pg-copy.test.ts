import { setImmediate } from 'node:timers/promises';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { copyRows } from '../src/adapters/pg-copy.ts';
import { crlService } from '../src/crl.module.ts';

const MEGABYTE = 1_000_000;
/** As many as no socket holds. */
const MANY = `SELECT convert_to(repeat(chr(64 + n), ${MEGABYTE}), 'UTF8') FROM generate_series(1, 30) AS n ORDER BY n`;

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('crl', crlService.migrations);
});
afterAll(() => database.stop());

describe('copied rows', () => {
  it('come as they are, in order; none is none', async () => {
    const octets = (text: string) => all(copyRows(pool, text));
    expect(await octets(`SELECT ''::bytea WHERE false`)).toEqual([]);
    // The last two look like what stands around rows.
    const values = ['', '00', 'ff'.repeat(70_000), '5047434f50590aff0d0a00', 'ffff'];
    const rows = await octets(
      `SELECT octets FROM (VALUES ${values.map((hex, i) => `(${i}, '\\x${hex}'::bytea)`)}) AS v (i, octets) ORDER BY i`,
    );
    expect(rows.map((row) => row.toString('hex'))).toEqual(values);
  });

  it.each([1, 3, 4, 5, 8, 100])('leave their connection to others: %d', async (count) => {
    const text = `SELECT int4send(n) FROM generate_series(1, ${count}) AS n`;
    expect(await all(copyRows(pool, text))).toHaveLength(count);
    // The pool gives out what came back last: there is one connection, which answers or does not.
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(pool.totalCount).toBe(1);
  });

  it('wait for a reader who is slow, and stay what they were', async () => {
    const rows: Buffer[] = [];
    for await (const row of copyRows(pool, MANY)) {
      rows.push(row);
      if (rows.length === 1) await eventually(serverWaits);
      await setImmediate();
    }
    const expected = Array.from({ length: 30 }, (_, i) => Buffer.alloc(MEGABYTE, 65 + i));
    expect(Buffer.concat(rows).equals(Buffer.concat(expected))).toBe(true);
  });

  it('that nobody wants to the end take their connection along, and the pool goes on', async () => {
    for await (const row of copyRows(pool, MANY)) {
      expect(row).toHaveLength(MEGABYTE);
      break;
    }
    expect(pool.totalCount).toBe(pool.idleCount);
    await eventually(async () => expect(await backends('COPY')).toEqual([]));
    expect(await all(copyRows(pool, `SELECT '\\x01'::bytea`))).toHaveLength(1);
  });

  it('end with an error when the statement fails on the way, and the pool goes on', async () => {
    const text = 'SELECT int4send(1 / (3 - n)) FROM generate_series(1, 5) AS n';
    await expect(all(copyRows(pool, text))).rejects.toThrow('division by zero');
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('end with UNAVAILABLE when the connection is lost on the way', async () => {
    const copy = copyRows(pool, MANY);
    await copy.next();
    await eventually(serverWaits);
    const [pid] = await backends('COPY');
    await pool.query('SELECT pg_terminate_backend($1)', [pid]);
    await expect(all(copy)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

async function all(copied: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const rows: Buffer[] = [];
  for await (const row of copied) rows.push(row);
  return rows;
}

/** The server cannot send more: nobody reads. */
async function serverWaits(): Promise<void> {
  const { rows } = await pool.query(
    `SELECT wait_event FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'`,
  );
  expect(rows).toEqual([{ wait_event: 'ClientWrite' }]);
}

/** Processes of the server that run such a statement. */
async function backends(statement: string): Promise<number[]> {
  const { rows } = await pool.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active'`,
    [`${statement}%`],
  );
  return rows.map(({ pid }) => pid);
}
