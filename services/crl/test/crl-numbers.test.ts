import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { describe, expect, it } from '@jest/globals';
import { pgCrlStore } from '../src/adapters/pg-crl-store.ts';
import { pgShardDirectory } from '../src/adapters/pg-shard-directory.ts';
import { rpcCrlSigner } from '../src/adapters/rpc-crl-signer.ts';
import { generateCrl } from '../src/generation/generate-crl.ts';
import { opensslCrl } from './openssl-crl.ts';
import { useCrl } from './use-crl.ts';

const HOUR = 3_600_000;

const shared = useCrl();

describe('numbers', () => {
  it('are not taken for a list that is too large to be signed, and the error says what to do', async () => {
    await shared.started();
    const numbers = async () => (await shared.pool.query('SELECT crl_number FROM shard')).rows;
    const before = await numbers();
    await shared.pool.query(
      `INSERT INTO revoked (issuer_id, serial_number, crl_shard, first_number, revoked_at, reason_code, not_after, entry)
       SELECT 'issuing', n, 0, 1, 0, 0, 9e15, convert_to(repeat('x', 100000), 'UTF8') FROM generate_series(1, 7) AS n`,
    );
    const [shard] = await pgShardDirectory(shared.pool).list();
    const deps = {
      store: pgCrlStore(shared.pool),
      signer: rpcCrlSigner(shared.world.keymgr.signing),
      clock: shared.world.clock,
      clockGuard: createClockGuard(shared.world.clock),
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
    expect(await shared.world.crl()).toBeDefined();
  });

  it('rise across the restore of an old backup, which forgets the last ones (covers: T57, T65)', async () => {
    await shared.started();
    const tables = ['issuer', 'shard', 'revoked', 'crl', 'crl_run', 'crl_part', 'event_cursor'];
    const backup = new Map<string, unknown>();
    for (const table of tables)
      backup.set(
        table,
        (await shared.pool.query(`SELECT json_agg(t) AS rows FROM ${table} t`)).rows[0].rows,
      );
    for (let i = 0; i < 3; i++) await shared.world.listed(shared.world.ca.revoke());
    const last = (await shared.world.crl()).crlNumber;
    await shared.world.stop();
    for (const table of tables) {
      await shared.pool.query(`DELETE FROM ${table}`);
      await shared.pool.query(
        `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::${table}, $1)`,
        [JSON.stringify(backup.get(table) ?? [])],
      );
    }
    shared.world.clock.advance(60_000);
    shared.world = shared.world.another();
    await shared.world.start();
    const { crl } = await shared.world.listed(shared.world.ca.revoke());
    expect(crl.crlNumber).toBeGreaterThan(last!);
    expect(new Set(shared.world.keymgr.signed).size).toBe(shared.world.keymgr.signed.length);
  });

  it('rise by one where CRLs come faster than seconds, and the last five stay', async () => {
    await shared.started({ coalesce: '100ms' });
    await shared.pool.query('UPDATE shard SET crl_number = crl_number + 1000');
    const before = (await shared.pool.query('SELECT crl_number FROM shard')).rows[0].crl_number;
    for (let i = 0; i < 7; i++) await shared.world.listed(shared.world.ca.revoke());
    const { crlNumber } = await shared.world.crl();
    expect(crlNumber).toBeGreaterThanOrEqual(BigInt(before) + 7n);
    expect(crlNumber).toBeLessThan(BigInt(before) + 100n);
    // The next one may be on its way.
    await eventually(async () =>
      expect((await shared.pool.query('SELECT FROM crl')).rowCount).toBe(6),
    );
  });

  it('a list has one maker at a time, in whatever process (covers: T57)', async () => {
    await shared.started();
    const [first, second] = [pgCrlStore(shared.pool), pgCrlStore(shared.pool)];
    const shard = { issuerId: 'issuing', crlShard: 7 };
    const nobody = () => Promise.reject(new Error('two make one list'));
    const outcome = await first.exclusive(shard, async () => {
      expect(await second.exclusive(shard, nobody)).toBe('busy');
      expect(await second.exclusive({ ...shard, crlShard: 8 }, async () => 'other')).toBe('other');
      return 'made';
    });
    expect(outcome).toBe('made');
    expect(await second.exclusive(shard, async () => 'next')).toBe('next');
  });

  it('two generators race: numbers rise, none is used twice, every CRL verifies (covers: T57)', async () => {
    await shared.started({ coalesce: '1s', refreshInterval: '100ms' });
    const rival = shared.world.another();
    await rival.start();
    try {
      for (let i = 0; i < 15; i++) {
        await shared.world.listed(shared.world.ca.revoke());
      }
      const { signed } = shared.world.keymgr;
      expect(new Set(signed).size).toBe(signed.length);
      expect(signed).toEqual([...signed].sort((a, b) => a - b));
      const last = await eventually(async () => {
        shared.world.clock.advance(1_000);
        const [a, b] = [await shared.world.crl(), await rival.crl()];
        expect(a.der.equals(b.der)).toBe(true);
        return a;
      });
      expect(await opensslCrl(last.der, shared.world.ca.issuers[0]!.certificate)).toContain(
        'verify OK',
      );
      const { rows } = await shared.pool.query(
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
      await shared.started();
      shared.world.clock.advance(60_000);
      let crashed = false;
      installFaultHook((name, when) => {
        if (name === step && when === moment) crashed = true;
        if (crashed) throw new Error('the process is dead');
      });
      const serialNumber = shared.world.ca.revoke();
      await eventually(() => expect(crashed).toBe(true));
      await shared.world.stop();
      expect(await shared.world.ordinal(await shared.world.crl())).toBe(meanwhile);
      installFaultHook(undefined);
      shared.world = shared.world.another();
      await shared.world.start();
      const { crl } = await shared.world.listed(serialNumber);
      expect(await shared.world.ordinal(crl)).toBe(expected);
      expect(new Set(shared.world.keymgr.signed).size).toBe(shared.world.keymgr.signed.length);
    },
  );

  it('an answer of keymgr that got lost is fetched, not signed again', async () => {
    await shared.started();
    shared.world.keymgr.mode = 'lost';
    const serialNumber = shared.world.ca.revoke();
    const { crl } = await shared.world.listed(serialNumber);
    expect([await shared.world.ordinal(crl), shared.world.keymgr.signed.length]).toEqual([2, 2]);
  });

  it('a wrong signature is never published: the old CRL stays, the number is lost', async () => {
    await shared.started();
    shared.world.keymgr.mode = 'lies';
    const serialNumber = shared.world.ca.revoke();
    await eventually(() => {
      shared.world.clock.advance(1_000);
      expect(shared.world.keymgr.signed.length).toBeGreaterThan(2);
    });
    expect(await shared.world.ordinal(await shared.world.crl())).toBe(1);
    shared.world.keymgr.mode = 'well';
    const { crl } = await shared.world.listed(serialNumber);
    expect(await shared.world.ordinal(crl)).toBeGreaterThan(2);
    expect(await opensslCrl(crl.der, shared.world.ca.issuers[0]!.certificate)).toContain(
      'verify OK',
    );
  });
});
