import { setImmediate } from 'node:timers/promises';
import { transaction } from '@gigvault/database/transaction';
import { silentLog } from '@gigvault/telemetry/log';
import { produced } from '@gigvault/testkit/produced';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { verifySignature } from '@gigvault/x509/signature';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { pgCrlStore } from '../src/adapters/pg-crl-store.ts';
import { pgIssuerStore } from '../src/adapters/pg-issuer-store.ts';
import { pgRevocationStore } from '../src/adapters/pg-revocation-store.ts';
import { pgShardDirectory } from '../src/adapters/pg-shard-directory.ts';
import { rpcCrlSigner } from '../src/adapters/rpc-crl-signer.ts';
import { crlService } from '../src/crl.module.ts';
import { type GenerateDeps, generateCrl, pruneCrls } from '../src/generation/generate-crl.ts';
import type { ShardState } from '../src/ports/shard.ts';
import { recordRevocations } from '../src/revocation/record-revocations.ts';
import { fakeCa } from './fake-ca.ts';
import { fakeKeymgr } from './fake-keymgr.ts';

const HOUR = 3_600_000;
const FULL_RUN = 10;
/** Two full runs, and half of one. */
const ENTRIES = 25;

let database: TestDatabase;
let pool: Pool;
let clock: FakeClock;
let deps: GenerateDeps;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('crl', crlService.migrations);
});
afterAll(() => database.stop());
beforeEach(async () => {
  for (const table of ['issuer', 'shard', 'revoked', 'crl', 'crl_run'])
    await pool.query(`DELETE FROM ${table}`);
  clock = new FakeClock(Math.floor(systemClock.now() / 1000) * 1000);
  const keymgr = fakeKeymgr();
  const issuer = fakeCa(clock).addIssuer('issuing', 1, keymgr.keys);
  await pgIssuerStore(pool).save([{ ...issuer, prepared: false, endsAt: undefined }]);
  deps = {
    store: pgCrlStore(pool, FULL_RUN),
    signer: rpcCrlSigner(keymgr.signing),
    clock,
    clockGuard: createClockGuard(clock),
    log: silentLog,
    validity: 24 * HOUR,
    turn: () => setImmediate(),
    largest: 100_000,
  };
  await revoke(1, ENTRIES);
});

describe('successive lists', () => {
  it('share their runs, but for the last, which takes up what is new', async () => {
    const first = await made();
    await revoke(ENTRIES + 1, 1);
    const second = await made();
    expect(second.entries).toEqual([...first.entries, [serial(ENTRIES + 1), 1]]);
    expect(second.entries).toEqual(await revoked());
    expect(second.runs).toEqual([...first.runs.slice(0, 2), expect.any(String)]);
    expect(second.runs[2]).not.toBe(first.runs[2]);
    expect((await made()).runs).toEqual(second.runs);
  });

  it('full runs are not joined anew, however many entries come', async () => {
    const first = await made();
    await revoke(ENTRIES + 1, 6);
    const second = await made();
    expect(second.entries).toEqual(await revoked());
    expect(second.runs.slice(0, 2)).toEqual(first.runs.slice(0, 2));
    expect(await runSizes()).toEqual([10, 10, 10, 1]);
  });

  it('do not share a run of which an entry has changed; the list before stays as it was signed (covers: T57)', async () => {
    const before = await made();
    await revoke(12, 1, 4);
    const after = await made();
    expect(after.entries[11]).toEqual([serial(12), 4]);
    expect(after.entries).toEqual(await revoked());
    expect(after.runs.map((run, i) => run === before.runs[i])).toEqual([true, false, true]);
    expect(await stored(before.crlNumber)).toEqual(before.der);
  });

  it('lose entries that have ended when they are made on schedule, and their runs alone are joined anew', async () => {
    await pool.query('UPDATE revoked SET not_after = $1 WHERE serial_number = ANY ($2)', [
      clock.now() + HOUR / 2,
      [serial(1), serial(10)],
    ]);
    const first = await made('scheduled');
    clock.advance(HOUR);
    const last = await made('scheduled');
    expect([last.entries.length, last.runs]).toEqual([ENTRIES, first.runs]);
    clock.advance(1_000);
    expect((await made()).runs).toEqual(first.runs);
    const gone = await made('scheduled');
    expect(gone.entries).toEqual(first.entries.filter((_, i) => i !== 0 && i !== 9));
    expect(gone.entries).toEqual(await revoked());
    expect(gone.runs.slice(1)).toEqual(first.runs.slice(1));
  });

  it('lose a run all of whose entries are gone', async () => {
    await made();
    await pool.query(
      'DELETE FROM revoked WHERE seq < (SELECT seq FROM revoked WHERE serial_number = $1)',
      [serial(11)],
    );
    const list = await made();
    expect(list.entries).toEqual(await revoked());
    expect(await runSizes()).toEqual([10, 5]);
  });

  it('leave none out that is revoked meanwhile (covers: T57)', async () => {
    let recording = true;
    const record = async () => {
      for (let i = 0; i < 60; i++) await revoke(ENTRIES + 1 + i * 3, 3);
      recording = false;
    };
    const lists: (readonly Entry[])[] = [];
    const make = async () => {
      while (recording) lists.push((await made()).entries);
    };
    await Promise.all([record(), make()]);
    if ((await shard()).changedAt !== undefined) lists.push((await made()).entries);
    const all = await revoked();
    for (const list of lists) expect(list).toEqual(all.slice(0, list.length));
    expect(lists.at(-1)).toHaveLength(ENTRIES + 180);
  });
});

describe('runs', () => {
  it('of a list that is too large to be signed are joined once, and no number is taken', async () => {
    const { largest: _, ...rest } = deps;
    const refused = () =>
      expect(
        shard().then((one) => generateCrl({ ...rest, largest: 1_000 }, one, true)),
      ).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
    const joined = async () => (await pool.query('SELECT run_id FROM crl_run ORDER BY 1')).rows;
    await refused();
    const runs = await joined();
    expect(runs).toHaveLength(3);
    await refused();
    expect(await joined()).toEqual(runs);
    expect((await pool.query('SELECT crl_number FROM shard')).rows).toEqual([{ crl_number: 0 }]);
  });

  it('that were replaced stay as long as a list that is made of them', async () => {
    const lists: Made[] = [];
    for (let i = 1; i <= 8; i++) {
      lists.push(await made());
      await revoke(ENTRIES + i, 1);
      await pruneCrls(deps, await shard());
    }
    const kept = lists.slice(-6);
    const { rows } = await pool.query('SELECT run_id::text FROM crl_run ORDER BY crl_run.run_id');
    const needed = new Set(kept.flatMap(({ runs }) => runs));
    expect(rows.map(({ run_id }) => run_id)).toEqual([...needed]);
    for (const { crlNumber, der } of kept) expect(await stored(crlNumber)).toEqual(der);
  });
});

/** Serial number and reason. */
type Entry = readonly [string, number];

interface Made {
  readonly crlNumber: number;
  readonly der: Buffer;
  readonly entries: readonly Entry[];
  /** The ids of the runs that it is made of, in order. */
  readonly runs: readonly string[];
}

function serial(n: number): string {
  return `7f${n.toString(16).padStart(30, '0')}`;
}

/** As the service does on events. */
function revoke(first: number, count: number, reasonCode = 1): Promise<void> {
  const revocations = Array.from({ length: count }, (_, i) => ({
    issuerId: 'issuing',
    crlShard: 0,
    serialNumber: serial(first + i),
    revokedAt: clock.now(),
    reasonCode,
    notAfter: clock.now() + 1_000 * HOUR,
  }));
  return transaction(pool, (client) =>
    recordRevocations(pgRevocationStore(client), revocations, clock.now()),
  );
}

async function shard(): Promise<ShardState> {
  return (await pgShardDirectory(pool).list())[0]!;
}

/** The shard's next CRL, which verifies. */
async function made(why: 'scheduled' | 'revocation' = 'revocation'): Promise<Made> {
  const state = await shard();
  const published = await generateCrl(deps, state, why === 'scheduled');
  if (published === 'busy') throw new Error('nobody else makes any');
  const { crlNumber } = published;
  const der = await stored(crlNumber);
  const list = readCertList(produced('crl', der));
  const { keyObject } = readCertificate(state.issuerCertificate).publicKey;
  expect(verifySignature(keyObject, list.signatureAlgorithm, list.tbs, list.signature)).toBe(true);
  expect(Buffer.concat([...(published.parts() as Iterable<Buffer>)]).equals(der)).toBe(true);
  const { rows } = await pool.query<{ run_id: string }>(
    `SELECT run_id::text FROM crl_part JOIN crl USING (intent_id)
      WHERE crl_number = $1 AND run_id IS NOT NULL ORDER BY part_no`,
    [crlNumber],
  );
  return {
    crlNumber,
    der,
    entries: [...list.entries()].map((one) => [one.serialNumber, one.reasonCode]),
    runs: rows.map(({ run_id }) => run_id),
  };
}

/** The CertificateList of this number, as the database has it. */
async function stored(crlNumber: number): Promise<Buffer> {
  const { rows } = await pool.query<{ octets: Buffer }>(
    `SELECT string_agg(coalesce(p.octets, r.octets), ''::bytea ORDER BY part_no) AS octets
       FROM crl_part p JOIN crl USING (intent_id) LEFT JOIN crl_run r USING (run_id) WHERE crl_number = $1`,
    [crlNumber],
  );
  return rows[0]!.octets;
}

/** What is revoked, in the order of its arrival. */
async function revoked(): Promise<readonly Entry[]> {
  const { rows } = await pool.query<{ serial_number: string; reason_code: number }>(
    'SELECT serial_number, reason_code FROM revoked ORDER BY seq',
  );
  return rows.map((row) => [row.serial_number, row.reason_code]);
}

async function runSizes(): Promise<number[]> {
  const { rows } = await pool.query<{ entry_count: number }>(
    'SELECT entry_count FROM crl_run WHERE NOT replaced ORDER BY last_seq',
  );
  return rows.map((row) => row.entry_count);
}
