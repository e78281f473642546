import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { PRUNE } from '../src/adapters/pg-status-pruner.ts';
import { ocspService } from '../src/ocsp.module.ts';
import { certId, ocspRequest, readAnswer } from './ocsp-request.ts';
import { type OcspWorld, startedOcspWorld } from './ocsp-world.ts';
import { listen, opensslClient } from './openssl-client.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MALFORMED = 1;
const TRY_LATER = 3;
const UNAUTHORIZED = 6;

let database: TestDatabase;
let pool: Pool;
let world: OcspWorld;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('ocsp', ocspService.migrations);
});
afterAll(() => database.stop());
afterEach(async () => {
  installFaultHook(undefined);
  world.ca.down = false;
  world.ca.events.down = false;
  await world.stop();
});

async function started(config = {}): Promise<OcspWorld> {
  world = await startedOcspWorld(pool, config);
  return world;
}

function ask(serialNumber: string, nonce?: Buffer) {
  return world.post(ocspRequest([certId(world.ca.issuerCertificate, serialNumber)], nonce));
}

async function statusOf(serialNumber: string): Promise<unknown> {
  return readAnswer(await ask(serialNumber)).data?.responses[0]?.status;
}

/** Lets the event log of `ca` be read to its end at the time that it is now. */
async function followed(): Promise<void> {
  await eventually(() => {
    world.ca.events.endPolls();
    return world.health('ocsp.freshness');
  });
}

/** Waits until the events of so many certificates have taken effect. */
async function recorded(count: number): Promise<void> {
  await eventually(async () =>
    expect((await pool.query('SELECT 1 FROM status')).rows).toHaveLength(count),
  );
}

describe('OCSP answers', () => {
  it('openssl accepts good, revoked with its reason, and unknown, by POST, with and without nonce', async () => {
    await started();
    const { serialNumber, certificate } = world.ca.issue();
    const server = await listen(world);
    const openssl = await opensslClient(world.ca.issuerCertificate, certificate, server.port);
    try {
      expect(await openssl('-cert')).toMatch(/Response verify OK[\s\S]*leaf.pem: good/);
      expect(await openssl('-cert', '-no_nonce')).toContain('leaf.pem: good');
      world.ca.revoke(serialNumber, 1);
      await eventually(async () =>
        expect(await openssl('-cert', '-no_nonce')).toMatch(
          /leaf.pem: revoked[\s\S]*Reason: keyCompromise/,
        ),
      );
      expect(await openssl('-sha256')).toContain('leaf.pem: revoked');
      expect(await openssl('-serial')).toContain('0x1234abcd: unknown');
    } finally {
      await openssl.end();
      await server.stop();
    }
  });

  it('never says good of a serial number that was never issued (covers: T53)', async () => {
    await started();
    expect(await statusOf('1234abcd')).toBe('unknown');
  });

  it('learns from ca what no event has told of yet, once for all who ask (single flight)', async () => {
    await started();
    const { serialNumber } = world.ca.issue(false);
    const gate = Promise.withResolvers<void>();
    world.ca.gate = gate.promise;
    const answers = Array.from({ length: 20 }, () => statusOf(serialNumber));
    await eventually(() => expect(world.ca.asked).toHaveLength(1));
    gate.resolve();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['good']));
    expect(world.ca.asked).toEqual([[serialNumber]]);
  });

  it('says tryLater over the cap of open questions, and when ca cannot be asked', async () => {
    await started({ maxOpenQuestions: 2 });
    const gate = Promise.withResolvers<void>();
    world.ca.gate = gate.promise;
    const serials = Array.from({ length: 8 }, () => world.ca.issue(false).serialNumber);
    const first = ask(serials[0]!);
    await eventually(() => expect(world.ca.asked).toHaveLength(1));
    const rest = serials.slice(1).map((serialNumber) => ask(serialNumber));
    const early = await Promise.all(rest.slice(2));
    expect(early.map((reply) => readAnswer(reply).status)).toEqual(early.map(() => TRY_LATER));
    gate.resolve();
    for (const reply of [first, rest[0]!, rest[1]!]) expect(readAnswer(await reply).status).toBe(0);
    world.ca.down = true;
    expect(readAnswer(await ask('77')).status).toBe(TRY_LATER);
  });

  it('answers several certIDs of one CA at once, SHA-1 and SHA-256, and echoes the nonce', async () => {
    await started();
    const { serialNumber: good } = world.ca.issue();
    const { serialNumber: bad } = world.ca.issue();
    world.ca.revoke(bad, 4);
    await eventually(async () => expect(await statusOf(bad)).toMatchObject({ reasonCode: 4 }));
    const { issuerCertificate } = world.ca;
    const ids = [certId(issuerCertificate, good), certId(issuerCertificate, bad, 'sha256')];
    const nonce = Buffer.alloc(128, 7);
    const { data } = readAnswer(await world.post(ocspRequest(ids, nonce)));
    expect(data?.nonce).toEqual(nonce);
    expect(data?.responses.map((one) => one.status)).toMatchObject(['good', { reasonCode: 4 }]);
    expect(data?.responses.map((one) => one.certId)).toEqual(ids);
  });

  it('refuses what it must (covers: T54)', async () => {
    await started();
    const { issuerCertificate } = world.ca;
    const statusOfPost = async (der: Buffer) => readAnswer(await world.post(der)).status;
    const id = certId(issuerCertificate, '01');
    expect(await statusOfPost(Buffer.from('not DER'))).toBe(MALFORMED);
    expect(await statusOfPost(Buffer.alloc(0))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest(Array.from({ length: 101 }, () => id)))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest([id], Buffer.alloc(0)))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest([id], Buffer.alloc(129)))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest([id], Buffer.alloc(1)))).toBe(0);
    const foreign = certId(world.ca.responderCertificates[0]!, '01');
    expect(await statusOfPost(ocspRequest([foreign]))).toBe(UNAUTHORIZED);
    expect(await statusOfPost(ocspRequest([id, foreign]))).toBe(UNAUTHORIZED);
  });
});

describe('OCSP over HTTP', () => {
  it('GET takes base64 plain, with slashes, percent-encoded, and refuses the rest (covers: T54)', async () => {
    await started();
    const server = await listen(world);
    const { issuerCertificate } = world.ca;
    try {
      const url = `http://127.0.0.1:${server.port}/ocsp`;
      for (let i = 0; i < 20; i++) {
        const base64 = ocspRequest([
          certId(issuerCertificate, world.ca.issue().serialNumber),
        ]).toString('base64');
        for (const path of [base64, encodeURIComponent(base64)]) {
          const reply = await fetch(`${url}/${path}`);
          const body = Buffer.from(await reply.arrayBuffer());
          expect([reply.status, readAnswer({ status: 200, body }).status]).toEqual([200, 0]);
        }
      }
      for (const path of ['!!!!', 'AAAA', '..%2f..%2fetc', 'a b']) {
        const reply = await fetch(`${url}/${encodeURI(path)}`);
        const body = Buffer.from(await reply.arrayBuffer());
        expect([reply.status, readAnswer({ status: 200, body }).status]).toEqual([200, MALFORMED]);
        expect(reply.headers.get('cache-control')).toBe('no-store');
      }
      const tooLarge = {
        method: 'POST',
        body: Buffer.alloc(10_001),
        headers: { 'content-type': 'application/ocsp-request' },
      };
      expect((await fetch(url, tooLarge)).status).toBe(413);
      expect((await fetch(url, { method: 'POST', body: 'x' })).status).toBe(415);
      expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(405);
    } finally {
      await server.stop();
    }
  });

  it('GET carries the caching of RFC 5019, with a nonce none', async () => {
    await started({ httpMaxAge: '1h' });
    // Without an event, which would drop the kept answer at its own time.
    const { serialNumber } = world.ca.issue(false);
    await eventually(() => world.health('ocsp.freshness'));
    const id = certId(world.ca.issuerCertificate, serialNumber);
    const path = `/ocsp/${ocspRequest([id]).toString('base64')}`;
    const reply = await world.get(path);
    const data = readAnswer(reply).data!.responses[0]!;
    expect(reply.headers).toMatchObject({
      'content-type': 'application/ocsp-response',
      'cache-control': 'max-age=3600, public, no-transform, must-revalidate',
      'last-modified': new Date(data.thisUpdate).toUTCString(),
    });
    expect(data.nextUpdate - data.thisUpdate).toBe(8 * HOUR);
    const etag = String(reply.headers?.['etag']);
    expect((await world.get(path, { 'if-none-match': etag })).status).toBe(304);
    world.clock.advance(3.5 * HOUR);
    await followed();
    expect((await world.get(path)).headers?.['cache-control']).toMatch(/^max-age=1(7|8)\d\d,/);
    const withNonce = `/ocsp/${ocspRequest([id], Buffer.alloc(16, 1)).toString('base64')}`;
    expect((await world.get(withNonce)).headers?.['cache-control']).toBe('no-store');
  });
});

describe('OCSP caching and signing', () => {
  it('signs once until half of the validity, in batches, and again for each nonce', async () => {
    await started();
    const serials = Array.from({ length: 30 }, () => world.ca.issue().serialNumber);
    await recorded(serials.length);
    await followed();
    const signatures = () => world.keymgr.batches.reduce((a, b) => a + b, 0);
    let signed = 0;
    // The event of a certificate drops what was signed for its serial number, once all processes are told: that may be after the first answers.
    await eventually(async () => {
      signed = signatures();
      await Promise.all(serials.map((serialNumber) => ask(serialNumber)));
      expect(signatures()).toBe(signed);
    });
    expect(signed).toBeGreaterThanOrEqual(30);
    expect(world.keymgr.batches.length).toBeLessThan(signed / 2);
    await ask(serials[0]!, Buffer.from('nonce'));
    expect(signatures()).toBe(signed + 1);
    world.clock.advance(4 * HOUR + 1000);
    await ask(serials[0]!);
    expect(signatures()).toBe(signed + 2);
  });

  it('a revocation purges the cached answer: revoked within a second (covers: T55)', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    expect(await statusOf(serialNumber)).toBe('good');
    const start = performance.now();
    world.ca.revoke(serialNumber, 1);
    await eventually(async () =>
      expect(await statusOf(serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('another replica hears of the revocation and purges its copy too', async () => {
    await started();
    const replica = await world.restart();
    await replica.start();
    try {
      const { serialNumber } = world.ca.issue();
      const request = ocspRequest([certId(world.ca.issuerCertificate, serialNumber)]);
      for (const one of [world, replica]) {
        await eventually(async () =>
          expect(readAnswer(await one.post(request)).data?.responses[0]?.status).toBe('good'),
        );
      }
      world.ca.revoke(serialNumber, 1);
      for (const one of [world, replica]) {
        await eventually(async () =>
          expect(readAnswer(await one.post(request)).data?.responses[0]?.status).toMatchObject({
            reasonCode: 1,
          }),
        );
      }
    } finally {
      await replica.stop();
    }
  });

  it('changes may have been missed: asks anew, and what was cached stands while nobody can be asked — covers: T7', async () => {
    await started();
    const { serialNumber: missed } = world.ca.issue();
    const { serialNumber } = world.ca.issue();
    await recorded(2);
    expect([await statusOf(missed), await statusOf(serialNumber)]).toEqual(['good', 'good']);
    await pool.query(
      `UPDATE status SET status = 'revoked', reason_code = 1, revoked_at = $2 WHERE serial_number = $1`,
      [missed, world.clock.now()],
    );
    // What a replica cannot read may have told of anything.
    await pool.query(`NOTIFY ocsp_status, 'unreadable'`);
    await eventually(async () => expect(await statusOf(missed)).toMatchObject({ reasonCode: 1 }));
    const owner = database.ownerPool('ocsp');
    await owner.query('ALTER TABLE status RENAME TO status_away');
    world.ca.down = true;
    try {
      expect(await statusOf(serialNumber)).toBe('good');
    } finally {
      await owner.query('ALTER TABLE status_away RENAME TO status');
      await owner.end();
    }
  });

  it('does not hear the other replicas: what was cached before is asked anew, not when they are heard again — covers: T7', async () => {
    await started();
    const { serialNumber: missed } = world.ca.issue();
    await recorded(1);
    expect(await statusOf(missed)).toBe('good');
    await pool.query(
      `UPDATE status SET status = 'revoked', reason_code = 1, revoked_at = $2 WHERE serial_number = $1`,
      [missed, world.clock.now()],
    );
    await pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE query LIKE 'LISTEN ocsp_status%' OR query LIKE '%-- ocsp.status-listener'`,
    );
    // The world's clock stands: the connection is not made again.
    await eventually(async () => expect(await statusOf(missed)).toMatchObject({ reasonCode: 1 }));
  });

  it('serves the old answer while keymgr is down, until it ends; never a signature that does not verify', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    // Its event purges what is cached before it.
    await recorded(1);
    await followed();
    expect(await statusOf(serialNumber)).toBe('good');
    world.keymgr.down = true;
    world.clock.advance(7 * HOUR);
    expect(await statusOf(serialNumber)).toBe('good');
    world.clock.advance(2 * HOUR);
    expect(readAnswer(await ask(serialNumber)).status).toBe(TRY_LATER);
    world.keymgr.down = false;
    world.keymgr.lies = true;
    expect(readAnswer(await ask(serialNumber)).status).toBe(TRY_LATER);
    world.keymgr.lies = false;
    await eventually(async () => {
      world.ca.events.endPolls();
      expect(await statusOf(serialNumber)).toBe('good');
    });
  });
});

describe('OCSP without ca', () => {
  it('a restart answers from the table, with the honest thisUpdate, and stops when it is too old', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    const { serialNumber: bad } = world.ca.issue();
    world.ca.revoke(bad, 1);
    // `ca` is asked for what was not told yet: the answer alone does not say that the table has it.
    await recorded(2);
    await eventually(async () => expect(await statusOf(bad)).toMatchObject({ reasonCode: 1 }));
    await eventually(() => world.health('ocsp.freshness'));
    await eventually(async () => {
      world.clock.advance(15_000);
      expect((await pool.query('SELECT as_of FROM freshness')).rows).toHaveLength(1);
    });
    await world.stop();
    const last = Number((await pool.query('SELECT as_of FROM freshness')).rows[0].as_of);
    world.ca.down = true;
    world.ca.events.down = true;
    world.clock.advance(2 * HOUR);
    world = await world.restart();
    await world.start();
    await eventually(async () => expect(await statusOf(serialNumber)).toBe('good'));
    const { data } = readAnswer(await ask(serialNumber, Buffer.from('fresh')));
    expect(data?.responses[0]?.thisUpdate).toBe(Math.floor(last / 1000) * 1000);
    await expect(world.health('ocsp.freshness')).rejects.toThrow('known up to');
    world.clock.advance(7 * HOUR);
    expect(readAnswer(await ask(serialNumber)).status).toBe(TRY_LATER);
    expect(await statusOf(bad)).toMatchObject({ reasonCode: 1 });
  });

  it('keeps no good for longer than the event log is followed: then ca is asked, and believed', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    const { serialNumber: still } = world.ca.issue();
    expect(await statusOf(serialNumber)).toBe('good');
    expect(await statusOf(still)).toBe('good');
    // The events of the two have purged what was cached before them.
    await recorded(2);
    expect(await statusOf(serialNumber)).toBe('good');
    expect(await statusOf(still)).toBe('good');
    world.ca.events.down = true;
    world.ca.events.endPolls();
    world.ca.revoke(serialNumber, 1);
    expect(await statusOf(serialNumber)).toBe('good');
    world.clock.advance(6 * 60_000);
    world.keymgr.down = true;
    expect(readAnswer(await ask(serialNumber)).status).toBe(TRY_LATER);
    world.keymgr.down = false;
    expect(await statusOf(serialNumber)).toMatchObject({ reasonCode: 1 });
    world.ca.down = true;
    expect(await statusOf(still)).toBe('good');
    const signed = world.keymgr.batches.length;
    expect(await statusOf(still)).toBe('good');
    expect(world.keymgr.batches.length).toBe(signed);
    world.ca.down = false;
    const { data } = readAnswer(await ask(still));
    expect(data?.responses[0]?.thisUpdate).toBe(Math.floor(world.clock.now() / 1000) * 1000);
  });

  it('events arrive again after a restart of the consumer and change nothing', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    world.ca.revoke(serialNumber, 1);
    await eventually(async () =>
      expect(await statusOf(serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    await world.stop();
    await pool.query('DELETE FROM event_cursor');
    world = await world.restart();
    await world.start();
    await eventually(() => world.health('ocsp.signer'));
    const { serialNumber: later } = world.ca.issue();
    await eventually(async () =>
      expect((await pool.query('SELECT status FROM status ORDER BY status')).rows).toHaveLength(2),
    );
    expect(await statusOf(serialNumber)).toMatchObject({ reasonCode: 1 });
    expect(await statusOf(later)).toBe('good');
  });
});

describe('the clock of OCSP', () => {
  it('is set forward: nothing is signed or believed with it, what was cached stands — covers: T15', async () => {
    await started();
    const { serialNumber } = world.ca.issue();
    await recorded(1);
    await followed();
    const cached = await ask(serialNumber);
    world.clock.step(HOUR);
    await expect(world.health('ocsp.clock')).rejects.toThrow('The clock was set');
    expect(readAnswer(await ask(serialNumber, Buffer.from('fresh'))).status).toBe(TRY_LATER);
    expect((await ask(serialNumber)).body).toEqual(cached.body);
    // The event log is read to its end, at a time that is wrong.
    await recorded(world.ca.issue() && 2);
    for (let i = 0; i < 3; i++) world.clock.advance(15_000);
    world.clock.step(-HOUR);
    await followed();
    const { data } = readAnswer(await ask(serialNumber, Buffer.from('fresh')));
    expect(data?.responses[0]?.thisUpdate).toBeLessThanOrEqual(world.clock.now());
    // It does not take itself for one who knows the next hour.
    world.ca.events.down = true;
    world.ca.events.endPolls();
    world.clock.advance(6 * 60_000);
    await expect(world.health('ocsp.freshness')).rejects.toThrow('known up to');
  });

  it('is set forward by months: no state is deleted — covers: T15', async () => {
    await started({ keepEnded: '1d' });
    world.ca.issue();
    await recorded(1);
    world.clock.step(90 * DAY);
    const rounds = world.clock.now() + 5 * HOUR;
    await eventually(async () => {
      world.clock.advance(HOUR);
      await recorded(1);
      expect(world.clock.now()).toBeGreaterThan(rounds);
    });
  });
});

describe('states of certificates that have ended', () => {
  it('are deleted after a while, and who asks still gets the answer of ca', async () => {
    await started({ keepEnded: '1d' });
    const old = world.ca.issue();
    world.ca.revoke(old.serialNumber, 1);
    await eventually(async () => expect(await statusOf(old.serialNumber)).not.toBe('good'));
    world.clock.advance(20 * DAY);
    const young = world.ca.issue();
    await eventually(async () => expect(await statusOf(young.serialNumber)).toBe('good'));
    world.clock.advance(10 * DAY + HOUR);
    await eventually(async () => {
      world.clock.advance(HOUR);
      const { rows } = await pool.query('SELECT serial_number FROM status');
      expect(rows).toEqual([{ serial_number: young.serialNumber }]);
    });
    await eventually(async () =>
      expect(await statusOf(old.serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    await world.stop();
    world = await world.restart({});
    await world.start();
    await eventually(async () =>
      expect(await statusOf(old.serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    expect(world.ca.asked).toContainEqual([old.serialNumber]);
  });

  it('are found by the index of ends', async () => {
    await pool.query(
      `INSERT INTO status SELECT 'issuing', md5(n::text), 'good', 0, 0, n FROM generate_series(1, 20000) n`,
    );
    const owner = database.ownerPool('ocsp');
    await owner.query('ANALYZE status');
    const { rows } = await owner.query(`EXPLAIN ${PRUNE}`, [500, 100]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('status_end');
    expect(plan).not.toContain('Seq Scan');
  });
});
