import { eventually } from '@gigvault/testkit/eventually';
import { describe, expect, it } from '@jest/globals';
import { PRUNE } from '../src/adapters/pg-status-pruner.ts';
import { certId, ocspRequest, readAnswer } from './ocsp-request.ts';
import { listen, opensslClient } from './openssl-client.ts';
import { useOcsp } from './use-ocsp.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const MALFORMED = 1;
const TRY_LATER = 3;
const UNAUTHORIZED = 6;

const ocsp = useOcsp();

describe('OCSP answers', () => {
  it('openssl accepts good, revoked with its reason, and unknown, by POST, with and without nonce', async () => {
    await ocsp.started();
    const { serialNumber, certificate } = ocsp.world.ca.issue();
    const server = await listen(ocsp.world);
    const openssl = await opensslClient(ocsp.world.ca.issuerCertificate, certificate, server.port);
    try {
      expect(await openssl('-cert')).toMatch(/Response verify OK[\s\S]*leaf.pem: good/);
      expect(await openssl('-cert', '-no_nonce')).toContain('leaf.pem: good');
      ocsp.world.ca.revoke(serialNumber, 1);
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
    await ocsp.started();
    expect(await ocsp.statusOf('1234abcd')).toBe('unknown');
  });

  it('learns from ca what no event has told of yet, once for all who ask (single flight)', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue(false);
    const gate = Promise.withResolvers<void>();
    ocsp.world.ca.gate = gate.promise;
    const answers = Array.from({ length: 20 }, () => ocsp.statusOf(serialNumber));
    await eventually(() => expect(ocsp.world.ca.asked).toHaveLength(1));
    gate.resolve();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['good']));
    expect(ocsp.world.ca.asked).toEqual([[serialNumber]]);
  });

  it('says tryLater over the cap of open questions, and when ca cannot be asked', async () => {
    await ocsp.started({ maxOpenQuestions: 2 });
    const gate = Promise.withResolvers<void>();
    ocsp.world.ca.gate = gate.promise;
    const serials = Array.from({ length: 8 }, () => ocsp.world.ca.issue(false).serialNumber);
    const first = ocsp.ask(serials[0]!);
    await eventually(() => expect(ocsp.world.ca.asked).toHaveLength(1));
    const rest = serials.slice(1).map((serialNumber) => ocsp.ask(serialNumber));
    const early = await Promise.all(rest.slice(2));
    expect(early.map((reply) => readAnswer(reply).status)).toEqual(early.map(() => TRY_LATER));
    gate.resolve();
    for (const reply of [first, rest[0]!, rest[1]!]) expect(readAnswer(await reply).status).toBe(0);
    ocsp.world.ca.down = true;
    expect(readAnswer(await ocsp.ask('77')).status).toBe(TRY_LATER);
  });

  it('answers several certIDs of one CA at once, SHA-1 and SHA-256, and echoes the nonce', async () => {
    await ocsp.started();
    const { serialNumber: good } = ocsp.world.ca.issue();
    const { serialNumber: bad } = ocsp.world.ca.issue();
    ocsp.world.ca.revoke(bad, 4);
    await eventually(async () => expect(await ocsp.statusOf(bad)).toMatchObject({ reasonCode: 4 }));
    const { issuerCertificate } = ocsp.world.ca;
    const ids = [certId(issuerCertificate, good), certId(issuerCertificate, bad, 'sha256')];
    const nonce = Buffer.alloc(128, 7);
    const { data } = readAnswer(await ocsp.world.post(ocspRequest(ids, nonce)));
    expect(data?.nonce).toEqual(nonce);
    expect(data?.responses.map((one) => one.status)).toMatchObject(['good', { reasonCode: 4 }]);
    expect(data?.responses.map((one) => one.certId)).toEqual(ids);
  });

  it('refuses what it must (covers: T54)', async () => {
    await ocsp.started();
    const { issuerCertificate } = ocsp.world.ca;
    const statusOfPost = async (der: Buffer) => readAnswer(await ocsp.world.post(der)).status;
    const id = certId(issuerCertificate, '01');
    expect(await statusOfPost(Buffer.from('not DER'))).toBe(MALFORMED);
    expect(await statusOfPost(Buffer.alloc(0))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest(Array.from({ length: 101 }, () => id)))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest([id], Buffer.alloc(0)))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest([id], Buffer.alloc(129)))).toBe(MALFORMED);
    expect(await statusOfPost(ocspRequest([id], Buffer.alloc(1)))).toBe(0);
    const foreign = certId(ocsp.world.ca.responderCertificates[0]!, '01');
    expect(await statusOfPost(ocspRequest([foreign]))).toBe(UNAUTHORIZED);
    expect(await statusOfPost(ocspRequest([id, foreign]))).toBe(UNAUTHORIZED);
  });
});

describe('OCSP over HTTP', () => {
  it('GET takes base64 plain, with slashes, percent-encoded, and refuses the rest (covers: T54)', async () => {
    await ocsp.started();
    const server = await listen(ocsp.world);
    const { issuerCertificate } = ocsp.world.ca;
    try {
      const url = `http://127.0.0.1:${server.port}/ocsp`;
      for (let i = 0; i < 20; i++) {
        const base64 = ocspRequest([
          certId(issuerCertificate, ocsp.world.ca.issue().serialNumber),
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
    await ocsp.started({ httpMaxAge: '1h' });
    // Without an event, which would drop the kept answer at its own time.
    const { serialNumber } = ocsp.world.ca.issue(false);
    await eventually(() => ocsp.world.health('ocsp.freshness'));
    const id = certId(ocsp.world.ca.issuerCertificate, serialNumber);
    const path = `/ocsp/${ocspRequest([id]).toString('base64')}`;
    const reply = await ocsp.world.get(path);
    const data = readAnswer(reply).data!.responses[0]!;
    expect(reply.headers).toMatchObject({
      'content-type': 'application/ocsp-response',
      'cache-control': 'max-age=3600, public, no-transform, must-revalidate',
      'last-modified': new Date(data.thisUpdate).toUTCString(),
    });
    expect(data.nextUpdate - data.thisUpdate).toBe(8 * HOUR);
    const etag = String(reply.headers?.['etag']);
    expect((await ocsp.world.get(path, { 'if-none-match': etag })).status).toBe(304);
    ocsp.world.clock.advance(3.5 * HOUR);
    await ocsp.followed();
    expect((await ocsp.world.get(path)).headers?.['cache-control']).toMatch(/^max-age=1(7|8)\d\d,/);
    const withNonce = `/ocsp/${ocspRequest([id], Buffer.alloc(16, 1)).toString('base64')}`;
    expect((await ocsp.world.get(withNonce)).headers?.['cache-control']).toBe('no-store');
  });
});

describe('OCSP without ca', () => {
  it('a restart answers from the table, with the honest thisUpdate, and stops when it is too old', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    const { serialNumber: bad } = ocsp.world.ca.issue();
    ocsp.world.ca.revoke(bad, 1);
    // `ca` is asked for what was not told yet: the answer alone does not say that the table has it.
    await ocsp.recorded(2);
    await eventually(async () => expect(await ocsp.statusOf(bad)).toMatchObject({ reasonCode: 1 }));
    await eventually(() => ocsp.world.health('ocsp.freshness'));
    await eventually(async () => {
      ocsp.world.clock.advance(15_000);
      expect((await ocsp.pool.query('SELECT as_of FROM freshness')).rows).toHaveLength(1);
    });
    await ocsp.world.stop();
    const last = Number((await ocsp.pool.query('SELECT as_of FROM freshness')).rows[0].as_of);
    ocsp.world.ca.down = true;
    ocsp.world.ca.events.down = true;
    ocsp.world.clock.advance(2 * HOUR);
    ocsp.world = await ocsp.world.restart();
    await ocsp.world.start();
    await eventually(async () => expect(await ocsp.statusOf(serialNumber)).toBe('good'));
    const { data } = readAnswer(await ocsp.ask(serialNumber, Buffer.from('fresh')));
    expect(data?.responses[0]?.thisUpdate).toBe(Math.floor(last / 1000) * 1000);
    await expect(ocsp.world.health('ocsp.freshness')).rejects.toThrow('known up to');
    ocsp.world.clock.advance(7 * HOUR);
    expect(readAnswer(await ocsp.ask(serialNumber)).status).toBe(TRY_LATER);
    expect(await ocsp.statusOf(bad)).toMatchObject({ reasonCode: 1 });
  });

  it('what was remembered by a clock that was ahead is replaced once it is right — covers: T15', async () => {
    await ocsp.started();
    await ocsp.pool.query(
      `INSERT INTO freshness (producer, as_of) VALUES ('ca', $1)
       ON CONFLICT (producer) DO UPDATE SET as_of = EXCLUDED.as_of`,
      [ocsp.world.clock.now() + 2_400 * HOUR],
    );
    await eventually(async () => {
      ocsp.world.clock.advance(15_000);
      const { rows } = await ocsp.pool.query('SELECT as_of FROM freshness');
      expect(Number(rows[0].as_of)).toBeLessThanOrEqual(ocsp.world.clock.now());
    });
  });

  it('keeps no good for longer than the event log is followed: then ca is asked, and believed', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    const { serialNumber: still } = ocsp.world.ca.issue();
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    expect(await ocsp.statusOf(still)).toBe('good');
    // The events of the two have purged what was cached before them.
    await ocsp.recorded(2);
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    expect(await ocsp.statusOf(still)).toBe('good');
    ocsp.world.ca.events.down = true;
    ocsp.world.ca.events.endPolls();
    ocsp.world.ca.revoke(serialNumber, 1);
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    ocsp.world.clock.advance(6 * 60_000);
    ocsp.world.keymgr.down = true;
    expect(readAnswer(await ocsp.ask(serialNumber)).status).toBe(TRY_LATER);
    ocsp.world.keymgr.down = false;
    expect(await ocsp.statusOf(serialNumber)).toMatchObject({ reasonCode: 1 });
    ocsp.world.ca.down = true;
    expect(await ocsp.statusOf(still)).toBe('good');
    const signed = ocsp.world.keymgr.batches.length;
    expect(await ocsp.statusOf(still)).toBe('good');
    expect(ocsp.world.keymgr.batches.length).toBe(signed);
    ocsp.world.ca.down = false;
    const { data } = readAnswer(await ocsp.ask(still));
    expect(data?.responses[0]?.thisUpdate).toBe(Math.floor(ocsp.world.clock.now() / 1000) * 1000);
  });

  it('events arrive again after a restart of the consumer and change nothing', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    ocsp.world.ca.revoke(serialNumber, 1);
    await eventually(async () =>
      expect(await ocsp.statusOf(serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    await ocsp.world.stop();
    await ocsp.pool.query('DELETE FROM event_cursor');
    ocsp.world = await ocsp.world.restart();
    await ocsp.world.start();
    await eventually(() => ocsp.world.health('ocsp.signer'));
    const { serialNumber: later } = ocsp.world.ca.issue();
    await eventually(async () =>
      expect(
        (await ocsp.pool.query('SELECT status FROM status ORDER BY status')).rows,
      ).toHaveLength(2),
    );
    expect(await ocsp.statusOf(serialNumber)).toMatchObject({ reasonCode: 1 });
    expect(await ocsp.statusOf(later)).toBe('good');
  });
});

describe('states of certificates that have ended', () => {
  it('are deleted after a while, and who asks still gets the answer of ca', async () => {
    await ocsp.started({ keepEnded: '1d' });
    const old = ocsp.world.ca.issue();
    ocsp.world.ca.revoke(old.serialNumber, 1);
    await eventually(async () => expect(await ocsp.statusOf(old.serialNumber)).not.toBe('good'));
    ocsp.world.clock.advance(20 * DAY);
    const young = ocsp.world.ca.issue();
    await eventually(async () => expect(await ocsp.statusOf(young.serialNumber)).toBe('good'));
    ocsp.world.clock.advance(10 * DAY + HOUR);
    await eventually(async () => {
      ocsp.world.clock.advance(HOUR);
      const { rows } = await ocsp.pool.query('SELECT serial_number FROM status');
      expect(rows).toEqual([{ serial_number: young.serialNumber }]);
    });
    await eventually(async () =>
      expect(await ocsp.statusOf(old.serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    await ocsp.world.stop();
    ocsp.world = await ocsp.world.restart({});
    await ocsp.world.start();
    await eventually(async () =>
      expect(await ocsp.statusOf(old.serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    expect(ocsp.world.ca.asked).toContainEqual([old.serialNumber]);
  });

  it('are found by the index of ends', async () => {
    await ocsp.pool.query(
      `INSERT INTO status SELECT 'issuing', md5(n::text), 'good', 0, 0, n FROM generate_series(1, 20000) n`,
    );
    const owner = ocsp.database.ownerPool('ocsp');
    await owner.query('ANALYZE status');
    const { rows } = await owner.query(`EXPLAIN ${PRUNE}`, [500, 100]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toContain('status_end');
    expect(plan).not.toContain('Seq Scan');
  });
});
