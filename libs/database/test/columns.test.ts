import { randomUUID } from 'node:crypto';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Pool } from 'pg';
import { column } from '../src/columns.ts';
import { query } from '../src/query.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('ca', []);
});
afterAll(() => database.stop());

/** The values as PostgreSQL understood them. */
async function read(type: keyof typeof column, values: Buffer): Promise<unknown[]> {
  const { rows } = await query<{ v: unknown }>(pool, {
    text: `SELECT v FROM unnest($1::${type}[]) WITH ORDINALITY AS u (v, n) ORDER BY n`,
    values: [values],
  });
  return rows.map(({ v }) => v);
}

describe('a column as one parameter', () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => !value.includes('\0'));
  const whole = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 });

  it.each<[keyof typeof column, fc.Arbitrary<unknown>]>([
    ['text', text],
    ['uuid', fc.uuid()],
    ['bytea', fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets))],
    ['smallint', whole(16)],
    ['integer', whole(32)],
    ['bigint', fc.maxSafeInteger()],
  ])('of %s arrives as it was sent', async (type, value) => {
    await fc.assert(
      fc.asyncProperty(fc.array(value), async (values) => {
        expect(await read(type, column[type](values as never[]))).toEqual(values);
      }),
      { numRuns: 30 },
    );
  });

  it('takes a UUID in capitals as the same', async () => {
    const uuid = randomUUID();
    expect(await read('uuid', column.uuid([uuid.toUpperCase()]))).toEqual([uuid]);
  });

  it.each([
    () => column.uuid(['not a UUID']),
    () => column.uuid([`${randomUUID()}00`]),
    () => column.bigint([2 ** 53]),
    () => column.bigint([0.5]),
    () => column.integer([2 ** 31]),
    () => column.smallint([-(2 ** 15) - 1]),
  ])('refuses what the type cannot hold (%#)', (make) => {
    expect(make).toThrow(/out of range|not of type/);
  });
});
