import { eventually } from '@gigvault/testkit/eventually';
import { describe, expect, it } from '@jest/globals';
import { certId, ocspRequest, readAnswer } from './ocsp-request.ts';
import { useOcsp } from './use-ocsp.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TRY_LATER = 3;

const ocsp = useOcsp();

describe('OCSP caching and signing', () => {
  it('signs once until half of the validity, in batches, and again for each nonce', async () => {
    await ocsp.started();
    const serials = Array.from({ length: 30 }, () => ocsp.world.ca.issue().serialNumber);
    await ocsp.recorded(serials.length);
    await ocsp.followed();
    const signatures = () => ocsp.world.keymgr.batches.reduce((a, b) => a + b, 0);
    let signed = 0;
    // The event of a certificate drops what was signed for its serial number, once all processes are told: that may be after the first answers.
    await eventually(async () => {
      signed = signatures();
      await Promise.all(serials.map((serialNumber) => ocsp.ask(serialNumber)));
      expect(signatures()).toBe(signed);
    });
    expect(signed).toBeGreaterThanOrEqual(30);
    expect(ocsp.world.keymgr.batches.length).toBeLessThan(signed / 2);
    await ocsp.ask(serials[0]!, Buffer.from('nonce'));
    expect(signatures()).toBe(signed + 1);
    ocsp.world.clock.advance(4 * HOUR + 1000);
    await ocsp.ask(serials[0]!);
    expect(signatures()).toBe(signed + 2);
  });

  it('a revocation purges the cached answer: revoked within a second (covers: T55)', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    const start = performance.now();
    ocsp.world.ca.revoke(serialNumber, 1);
    await eventually(async () =>
      expect(await ocsp.statusOf(serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('another replica hears of the revocation and purges its copy too', async () => {
    await ocsp.started();
    const replica = await ocsp.world.restart();
    await replica.start();
    try {
      const { serialNumber } = ocsp.world.ca.issue();
      const request = ocspRequest([certId(ocsp.world.ca.issuerCertificate, serialNumber)]);
      for (const one of [ocsp.world, replica]) {
        await eventually(async () =>
          expect(readAnswer(await one.post(request)).data?.responses[0]?.status).toBe('good'),
        );
      }
      ocsp.world.ca.revoke(serialNumber, 1);
      for (const one of [ocsp.world, replica]) {
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
    await ocsp.started();
    const { serialNumber: missed } = ocsp.world.ca.issue();
    const { serialNumber } = ocsp.world.ca.issue();
    await ocsp.recorded(2);
    expect([await ocsp.statusOf(missed), await ocsp.statusOf(serialNumber)]).toEqual([
      'good',
      'good',
    ]);
    await ocsp.pool.query(
      `UPDATE status SET status = 'revoked', reason_code = 1, revoked_at = $2 WHERE serial_number = $1`,
      [missed, ocsp.world.clock.now()],
    );
    // What a replica cannot read may have told of anything.
    await ocsp.pool.query(`NOTIFY ocsp_status, 'unreadable'`);
    await eventually(async () =>
      expect(await ocsp.statusOf(missed)).toMatchObject({ reasonCode: 1 }),
    );
    const owner = ocsp.database.ownerPool('ocsp');
    await owner.query('ALTER TABLE status RENAME TO status_away');
    ocsp.world.ca.down = true;
    try {
      expect(await ocsp.statusOf(serialNumber)).toBe('good');
    } finally {
      await owner.query('ALTER TABLE status_away RENAME TO status');
      await owner.end();
    }
  });

  it('does not hear the other replicas: what was cached before is asked anew, not when they are heard again — covers: T7', async () => {
    await ocsp.started();
    const { serialNumber: missed } = ocsp.world.ca.issue();
    await ocsp.recorded(1);
    expect(await ocsp.statusOf(missed)).toBe('good');
    await ocsp.pool.query(
      `UPDATE status SET status = 'revoked', reason_code = 1, revoked_at = $2 WHERE serial_number = $1`,
      [missed, ocsp.world.clock.now()],
    );
    await ocsp.pool.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE query LIKE 'LISTEN ocsp_status%' OR query LIKE '%-- ocsp.status-listener'`,
    );
    // The ocsp.world's clock stands: the connection is not made again.
    await eventually(async () =>
      expect(await ocsp.statusOf(missed)).toMatchObject({ reasonCode: 1 }),
    );
  });

  it('the database is silent: what was cached goes out after half a second, the newer state once it is known — covers: T7', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    await ocsp.recorded(1);
    await ocsp.followed();
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    const owner = ocsp.database.ownerPool('ocsp');
    const silence = await owner.connect();
    try {
      await silence.query('BEGIN; LOCK TABLE status');
      await silence.query(
        `UPDATE status SET status = 'revoked', reason_code = 1, revoked_at = $2 WHERE serial_number = $1`,
        [serialNumber, ocsp.world.clock.now()],
      );
      await ocsp.pool.query(`NOTIFY ocsp_status, 'unreadable'`);
      const answer = await eventually(async () => {
        const asked = ocsp.statusOf(serialNumber);
        const { rows } = await owner.query(
          `SELECT 1 FROM pg_locks WHERE relation = 'status'::regclass AND NOT granted`,
        );
        expect(rows).toHaveLength(1);
        return { asked };
      });
      ocsp.world.clock.advance(500);
      expect(await answer.asked).toBe('good');
      await silence.query('COMMIT');
    } finally {
      silence.release();
      await owner.end();
    }
    await eventually(async () =>
      expect(await ocsp.statusOf(serialNumber)).toMatchObject({ reasonCode: 1 }),
    );
  });

  it('the database is silent, and nothing is cached: tryLater after a second, with nonce and without — covers: T7', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    await ocsp.recorded(1);
    await ocsp.followed();
    const owner = ocsp.database.ownerPool('ocsp');
    const silence = await owner.connect();
    try {
      await silence.query('BEGIN; LOCK TABLE status');
      const asked = [ocsp.ask(serialNumber, Buffer.from('nonce')), ocsp.ask('77')];
      const looking = async () => {
        const { rows } = await owner.query(
          `SELECT 1 FROM pg_locks WHERE relation = 'status'::regclass AND NOT granted`,
        );
        expect(rows).toHaveLength(1);
      };
      await eventually(looking);
      ocsp.world.clock.advance(1_000);
      for (const answer of asked) expect(readAnswer(await answer).status).toBe(TRY_LATER);
      // Not because the database's own limit was over.
      await looking();
      await silence.query('COMMIT');
    } finally {
      silence.release();
      await owner.end();
    }
    await eventually(async () => {
      const { data } = readAnswer(await ocsp.ask(serialNumber, Buffer.from('nonce')));
      expect(data?.responses[0]?.status).toBe('good');
    });
  });

  it('serves the old answer while keymgr is down, until it ends; never a signature that does not verify', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    // Its event purges what is cached before it.
    await ocsp.recorded(1);
    await ocsp.followed();
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    ocsp.world.keymgr.down = true;
    ocsp.world.clock.advance(7 * HOUR);
    expect(await ocsp.statusOf(serialNumber)).toBe('good');
    ocsp.world.clock.advance(2 * HOUR);
    expect(readAnswer(await ocsp.ask(serialNumber)).status).toBe(TRY_LATER);
    ocsp.world.keymgr.down = false;
    ocsp.world.keymgr.lies = true;
    expect(readAnswer(await ocsp.ask(serialNumber)).status).toBe(TRY_LATER);
    ocsp.world.keymgr.lies = false;
    await eventually(async () => {
      ocsp.world.ca.events.endPolls();
      expect(await ocsp.statusOf(serialNumber)).toBe('good');
    });
  });
});

describe('the clock of OCSP', () => {
  it('is set forward: nothing is signed or believed with it, what was cached stands — covers: T15', async () => {
    await ocsp.started();
    const { serialNumber } = ocsp.world.ca.issue();
    await ocsp.recorded(1);
    await ocsp.followed();
    const cached = await ocsp.ask(serialNumber);
    ocsp.world.clock.step(HOUR);
    await expect(ocsp.world.health('ocsp.clock')).rejects.toThrow('The clock was set');
    expect(readAnswer(await ocsp.ask(serialNumber, Buffer.from('fresh'))).status).toBe(TRY_LATER);
    expect((await ocsp.ask(serialNumber)).body).toEqual(cached.body);
    // The event log is read to its end, at a time that is wrong.
    await ocsp.recorded(ocsp.world.ca.issue() && 2);
    for (let i = 0; i < 3; i++) ocsp.world.clock.advance(15_000);
    ocsp.world.clock.step(-HOUR);
    await ocsp.followed();
    const { data } = readAnswer(await ocsp.ask(serialNumber, Buffer.from('fresh')));
    expect(data?.responses[0]?.thisUpdate).toBeLessThanOrEqual(ocsp.world.clock.now());
    // It does not take itself for one who knows the next hour.
    ocsp.world.ca.events.down = true;
    ocsp.world.ca.events.endPolls();
    ocsp.world.clock.advance(6 * 60_000);
    await expect(ocsp.world.health('ocsp.freshness')).rejects.toThrow('known up to');
  });

  it('is set forward by months: no state is deleted — covers: T15', async () => {
    await ocsp.started({ keepEnded: '1d' });
    ocsp.world.ca.issue();
    await ocsp.recorded(1);
    ocsp.world.clock.step(90 * DAY);
    const rounds = ocsp.world.clock.now() + 5 * HOUR;
    await eventually(async () => {
      ocsp.world.clock.advance(HOUR);
      await ocsp.recorded(1);
      expect(ocsp.world.clock.now()).toBeGreaterThan(rounds);
    });
  });
});
