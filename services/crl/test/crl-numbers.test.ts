import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { pgCrlStore } from '../src/adapters/pg-crl-store.ts';
import { pgShardDirectory } from '../src/adapters/pg-shard-directory.ts';
import { rpcCrlSigner } from '../src/adapters/rpc-crl-signer.ts';
import { crlService } from '../src/crl.module.ts';
import { generateCrl } from '../src/generation/generate-crl.ts';
import { type CrlWorld, startedCrlWorld } from './crl-world.ts';
import { opensslCrl } from './openssl-crl.ts';

const HOUR = 3_600_000;

let database: TestDatabase;
let pool: Pool;
let world: CrlWorld;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('crl', crlService.migrations);
});
afterAll(() => database.stop());
afterEach(async () => {
  installFaultHook(undefined);
  await world.stop();
});

async function started(config = {}): Promise<CrlWorld> {
  world = await startedCrlWorld(pool, config);
  return world;
}

describe('numbers', () => {
  it('are not taken for a list that is too large to be signed, and the error says what to do', async () => {
    await started();
    const numbers = async () => (await pool.query('SELECT crl_number FROM shard')).rows;
    const before = await numbers();
    await pool.query(
      `INSERT INTO revoked (issuer_id, serial_number, crl_shard, first_number, revoked_at, reason_code, not_after, entry)
       SELECT 'issuing', n, 0, 1, 0, 0, 9e15, convert_to(repeat('x', 100000), 'UTF8') FROM generate_series(1, 7) AS n`,
    );
    const [shard] = await pgShardDirectory(pool).list();
    const deps = {
      store: pgCrlStore(pool),
      signer: rpcCrlSigner(world.keymgr.signing),
      clock: world.clock,
      clockGuard: createClockGuard(world.clock),
      log: silentLog,
      validity: 24 * HOUR,
      turn: async () => undefined,
      largest: 500_000,
    };
    await expect(generateCrl(deps, shard!, false)).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(/7\d{5} octets; .* is 500000\. .*more CRL shards/),
    });
    expect(await numbers()).toEqual(before);
    expect(await world.crl()).toBeDefined();
  });

  it('rise across the restore of an old backup, which forgets the last ones (covers: T57, T65)', async () => {
    await started();
    const tables = ['issuer', 'shard', 'revoked', 'crl', 'crl_run', 'crl_part', 'event_cursor'];
    const backup = new Map<string, unknown>();
    for (const table of tables)
      backup.set(
        table,
        (await pool.query(`SELECT json_agg(t) AS rows FROM ${table} t`)).rows[0].rows,
      );
    for (let i = 0; i < 3; i++) await world.listed(world.ca.revoke());
    const last = (await world.crl()).crlNumber;
    await world.stop();
    for (const table of tables) {
      await pool.query(`DELETE FROM ${table}`);
      await pool.query(
        `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::${table}, $1)`,
        [JSON.stringify(backup.get(table) ?? [])],
      );
    }
    world.clock.advance(60_000);
    world = world.another();
    await world.start();
    const { crl } = await world.listed(world.ca.revoke());
    expect(crl.crlNumber).toBeGreaterThan(last!);
    expect(new Set(world.keymgr.signed).size).toBe(world.keymgr.signed.length);
  });

  it('rise by one where CRLs come faster than seconds, and the last five stay', async () => {
    await started({ coalesce: '100ms' });
    await pool.query('UPDATE shard SET crl_number = crl_number + 1000');
    const before = (await pool.query('SELECT crl_number FROM shard')).rows[0].crl_number;
    for (let i = 0; i < 7; i++) await world.listed(world.ca.revoke());
    const { crlNumber } = await world.crl();
    expect(crlNumber).toBeGreaterThanOrEqual(BigInt(before) + 7n);
    expect(crlNumber).toBeLessThan(BigInt(before) + 100n);
    expect((await pool.query('SELECT FROM crl')).rowCount).toBe(6);
  });

  it('two generators race: numbers rise, none is used twice, every CRL verifies (covers: T57)', async () => {
    await started({ coalesce: '1s', refreshInterval: '100ms' });
    const rival = world.another();
    await rival.start();
    try {
      for (let i = 0; i < 15; i++) {
        await world.listed(world.ca.revoke());
      }
      const { signed } = world.keymgr;
      expect(new Set(signed).size).toBe(signed.length);
      expect(signed).toEqual([...signed].sort((a, b) => a - b));
      const last = await eventually(async () => {
        world.clock.advance(1_000);
        const [a, b] = [await world.crl(), await rival.crl()];
        expect(a.der.equals(b.der)).toBe(true);
        return a;
      });
      expect(await opensslCrl(last.der, world.ca.issuers[0]!.certificate)).toContain('verify OK');
      const { rows } = await pool.query(
        `SELECT count(*)::int AS n FROM crl WHERE status = 'intended'`,
      );
      expect(rows[0].n).toBe(0);
    } finally {
      await rival.stop();
    }
  });

  it.each([
    ['crl.intent', 'before', 1, 2],
    ['crl.intent', 'after', 1, 3],
    ['crl.published', 'before', 1, 2],
    ['crl.published', 'after', 2, 2],
  ] as const)(
    'a crash at %s, %s: CRL %d stays, then comes CRL %d, and nothing is signed twice',
    async (step, moment, meanwhile, expected) => {
      await started();
      world.clock.advance(60_000);
      let crashed = false;
      installFaultHook((name, when) => {
        if (name === step && when === moment) crashed = true;
        if (crashed) throw new Error('the process is dead');
      });
      const serialNumber = world.ca.revoke();
      await eventually(() => expect(crashed).toBe(true));
      await world.stop();
      expect(await world.ordinal(await world.crl())).toBe(meanwhile);
      installFaultHook(undefined);
      world = world.another();
      await world.start();
      const { crl } = await world.listed(serialNumber);
      expect(await world.ordinal(crl)).toBe(expected);
      expect(new Set(world.keymgr.signed).size).toBe(world.keymgr.signed.length);
    },
  );

  it('an answer of keymgr that got lost is fetched, not signed again', async () => {
    await started();
    world.keymgr.mode = 'lost';
    const serialNumber = world.ca.revoke();
    const { crl } = await world.listed(serialNumber);
    expect([await world.ordinal(crl), world.keymgr.signed.length]).toEqual([2, 2]);
  });

  it('a wrong signature is never published: the old CRL stays, the number is lost', async () => {
    await started();
    world.keymgr.mode = 'lies';
    const serialNumber = world.ca.revoke();
    await eventually(() => {
      world.clock.advance(1_000);
      expect(world.keymgr.signed.length).toBeGreaterThan(2);
    });
    expect(await world.ordinal(await world.crl())).toBe(1);
    world.keymgr.mode = 'well';
    const { crl } = await world.listed(serialNumber);
    expect(await world.ordinal(crl)).toBeGreaterThan(2);
    expect(await opensslCrl(crl.der, world.ca.issuers[0]!.certificate)).toContain('verify OK');
  });
});
