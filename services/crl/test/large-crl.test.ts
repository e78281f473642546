import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { LOOP_DELAY_P99, loopDelayP99, loopTurns } from '@gigvault/testkit/loop-delay';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { readCertificate } from '@gigvault/x509/certificate';
import { encodeCrlEntry, type ParsedCertList, readCertList } from '@gigvault/x509/crl';
import { verifySignature } from '@gigvault/x509/signature';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import type { Pool } from 'pg';
import { crlService } from '../src/crl.module.ts';
import { type CrlWorld, crlWorld } from './crl-world.ts';

/** 1.2 MB in three parts: more than travels in one message and than is held in memory. GIGVAULT_CRL_ENTRIES=1000000 is the long form. */
const ENTRIES = Number(process.env['GIGVAULT_CRL_ENTRIES'] ?? 25_000);

/** Entries that one statement inserts. */
const STATEMENT = 25_000;

/** Milliseconds, on a machine that is busy otherwise. */
const PATIENCE = 25_000 + ENTRIES / 4;

jest.setTimeout(90_000 + ENTRIES);

let database: TestDatabase;
let pool: Pool;
let dataDir: string;
let world: CrlWorld;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('crl', crlService.migrations);
});
afterAll(() => database.stop());
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'gigvault-crl-'));
  world = await crlWorld(pool, {}, dataDir);
  await insertEntries();
  await world.start();
  await eventually(() => served(), PATIENCE);
});
afterEach(async () => {
  installFaultHook(undefined);
  await world.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** As `recordRevocations` would, one by one. The serial number is at bytes 4 to 19. */
async function insertEntries(): Promise<void> {
  const revokedAt = world.clock.now();
  const sample = encodeCrlEntry({ serialNumber: '7f'.repeat(16), revokedAt, reasonCode: 1 });
  for (let first = 1; first <= ENTRIES; first += STATEMENT)
    await pool.query(
      `INSERT INTO revoked (issuer_id, serial_number, crl_shard, first_number, revoked_at, reason_code, not_after, entry)
     SELECT 'issuing', encode(serial, 'hex'), 0, 1, $2, 1, $2::bigint + 86400000, substr($3::bytea, 1, 4) || serial || substr($3::bytea, 21)
       FROM (SELECT substr('\\x7f'::bytea || sha256(int8send(n)), 1, 16) AS serial FROM generate_series($1::bigint, $1 + ${STATEMENT - 1}) AS n) AS s`,
      [first, revokedAt, sample],
    );
}

/** What is served now, its signature verified; entries are not read. */
async function served(from = world): Promise<ParsedCertList> {
  const { body } = await from.fetch('/crl/issuing/0.crl');
  const crl = readCertList(await buffer(body as Readable));
  const { publicKey } = readCertificate(world.ca.issuers[0]!.certificate);
  const { keyObject } = publicKey;
  expect(verifySignature(keyObject, crl.signatureAlgorithm, crl.tbs, crl.signature)).toBe(true);
  return crl;
}

/** Moves the time until a CRL with a higher number is served. */
function newer(than: ParsedCertList, from = world): Promise<ParsedCertList> {
  return eventually(async () => {
    world.clock.advance(1_000);
    const crl = await served(from);
    expect(crl.crlNumber).toBeGreaterThan(than.crlNumber);
    return crl;
  }, PATIENCE);
}

describe('a large CRL', () => {
  it('is signed part by part, served from a file, and the loop turns between any two parts (covers: T57, T72)', async () => {
    const before = await served();
    const serialNumber = world.ca.revoke();
    let made: ParsedCertList | undefined;
    const turns = await loopTurns(async () => {
      made = await newer(before);
    });
    const crl = made!;
    const { rows } = await pool.query<{ octets: number }>(
      `SELECT octet_length(coalesce(p.octets, r.octets)) AS octets
         FROM crl_part p JOIN crl USING (intent_id) LEFT JOIN crl_run r USING (run_id)
        WHERE crl_number = $1 ORDER BY part_no`,
      [crl.crlNumber],
    );
    // Around the list, around the entries, and three times entries.
    expect(rows).toHaveLength(7);
    expect(Math.max(...rows.map(({ octets }) => octets))).toBeLessThan(1_000_000);
    expect(turns).toBeGreaterThan(rows.length);
    const list = [...crl.entries()];
    expect([list.length, list.at(-1)?.serialNumber]).toEqual([ENTRIES + 1, serialNumber]);
    expect(await readdir(join(dataDir, 'published'))).toEqual([
      expect.stringMatching(`^issuing-0-${crl.crlNumber}-\\d+\\.crl$`),
    ]);
  });

  it('is made without holding up the loop (covers: T72)', async () => {
    const published = async () =>
      Number((await pool.query('SELECT published_number FROM shard')).rows[0].published_number);
    // Nobody reads it here: that would be the test's own work.
    const newOne = async () => {
      const before = await published();
      world.ca.revoke();
      await eventually(async () => {
        world.clock.advance(1_000);
        expect(await published()).toBeGreaterThan(before);
      }, PATIENCE);
    };
    expect(await loopDelayP99(newOne)).toBeLessThan(LOOP_DELAY_P99);
  });

  it('whose reader is slow is read to its end, though a newer one has taken its place', async () => {
    const [before, reply] = [await served(), await world.fetch('/crl/issuing/0.crl')];
    world.ca.revoke();
    await newer(before);
    const octets = (await buffer(reply.body as Readable)).length;
    expect([octets, reply.headers?.['content-length']]).toEqual([
      before.der.length,
      String(before.der.length),
    ]);
  });

  it('whose file was deleted is not served until it is taken up again, within seconds', async () => {
    const before = await served();
    await rm(join(dataDir, 'published'), { recursive: true });
    const reply = await world.fetch('/crl/issuing/0.crl');
    expect([reply.status, reply.headers?.['retry-after']]).toEqual([503, '60']);
    world.clock.advance(5_000);
    const after = await eventually(() => served(), PATIENCE);
    expect(after.der.equals(before.der)).toBe(true);
  });

  it('whose signer starts again in the middle is begun again, with a higher number (covers: T57)', async () => {
    const before = await served();
    world.keymgr.mode = 'forgets';
    world.ca.revoke();
    const crl = await newer(before);
    expect(crl.crlNumber).toBeGreaterThan(before.crlNumber + 1n);
    expect(world.keymgr.mode).toBe('well');
    const { rows } = await pool.query(
      `SELECT status, count(p.*)::int AS parts FROM crl LEFT JOIN crl_part p USING (intent_id) GROUP BY crl.intent_id, status ORDER BY parts`,
    );
    expect(rows[0]).toEqual({ status: 'abandoned', parts: 0 });
  });

  it('whose generator dies while it is written leaves the old one and no number behind (covers: T57)', async () => {
    const before = await served();
    const numbers = async () =>
      (await pool.query('SELECT crl_number FROM shard')).rows[0].crl_number;
    const taken = await numbers();
    // Dies inside of the transaction: the third part cannot be written.
    const owner = database.ownerPool('crl');
    await owner.query(`ALTER TABLE crl_part ADD CONSTRAINT dies CHECK (part_no < 3) NOT VALID`);
    const serialNumber = world.ca.revoke();
    await eventually(async () => {
      world.clock.advance(1_000);
      expect((await pool.query('SELECT changed_at FROM shard')).rows[0].changed_at).not.toBeNull();
    });
    await world.stop();
    expect([await numbers(), (await served()).der.equals(before.der)]).toEqual([taken, true]);
    await owner.query('ALTER TABLE crl_part DROP CONSTRAINT dies');
    world = world.another();
    await world.start();
    const crl = await newer(before);
    expect([...crl.entries()].at(-1)?.serialNumber).toBe(serialNumber);
  });

  it('that is there in part only is never served: the one before stays, the next one heals (covers: T57)', async () => {
    const before = await served();
    const rival = world.another({}, join(dataDir, 'rival'));
    await pool.query(
      `UPDATE shard SET crl_number = crl_number + 1000, published_number = published_number + 1000`,
    );
    await pool.query(
      `INSERT INTO crl (issuer_id, crl_shard, crl_number, intent_id, status, scheduled, this_update, next_update, entry_count, octets)
       SELECT issuer_id, crl_shard, crl_number + 1000, gen_random_uuid(), 'published', true, this_update, next_update, entry_count, octets
         FROM crl WHERE status = 'published' ORDER BY crl_number DESC LIMIT 1`,
    );
    await pool.query(
      `INSERT INTO crl_part (intent_id, part_no, octets, run_id)
       SELECT n.intent_id, p.part_no, p.octets, p.run_id FROM crl_part p, crl n, crl o
        WHERE p.intent_id = o.intent_id AND p.part_no < 4 AND n.crl_number = o.crl_number + 1000`,
    );
    world.clock.advance(5_000);
    await rival.start();
    try {
      await eventually(() =>
        expect(rival.health('crl.published')).rejects.toThrow('not published'),
      );
      expect((await served()).der.equals(before.der)).toBe(true);
      world.ca.revoke();
      const healed = await newer(before);
      expect(healed.crlNumber).toBeGreaterThan(before.crlNumber + 1000n);
      await newer(before, rival);
      // Time that is moved may bring one more CRL: in the end both serve the same.
      await eventually(async () =>
        expect((await served(rival)).der.equals((await served()).der)).toBe(true),
      );
    } finally {
      await rival.stop();
    }
  });
});
