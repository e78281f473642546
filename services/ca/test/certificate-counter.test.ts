import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { eventually } from '@gigvault/testkit/eventually';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { COUNT, certificateCounter } from '../src/adapters/certificate-counter.ts';
import { startTestCa, type TestCa } from './test-ca.ts';

const DAY = 86_400_000;
let ca: TestCa;

beforeAll(async () => {
  ca = await startTestCa();
});
afterAll(() => ca.stop());

/** Rows as issuance leaves them. @param ends days from now at which they end */
async function certificates(now: number, ends: readonly number[], status = 'valid') {
  await ca.pool.query(
    `INSERT INTO certificate
       SELECT md5(random()::text), 'issuing', convert_to(repeat('0', 700), 'UTF8'), gen_random_uuid(), gen_random_uuid(), 'cn', '{}', 'tls-server', 'r', 'default',
              'acme', 0, $1 + days * $2, 'spki', 0, $3, 1, CASE WHEN $3 = 'revoked' THEN 1 END, CASE WHEN $3 = 'revoked' THEN 0 END
       FROM unnest($4::bigint[]) AS days`,
    [now, DAY, status, ends],
  );
}

// covers: G99, G100
describe('the gauges of certificates', () => {
  it('count what is in force, and what of it ends within 7, 30 and 90 days, on a schedule', async () => {
    const clock = new FakeClock(systemClock.now());
    const metrics = createMetrics();
    await certificates(clock.now(), [-1, 3, 6, 20, 80, 100]);
    await certificates(clock.now(), [3, 20], 'revoked');
    const worker = certificateCounter({ clock, database: ca.pool, log: silentLog, metrics });
    await worker.start();
    const shows = (active: number, ...expiring: number[]) =>
      eventually(async () => {
        const text = await metrics.exposition();
        expect(text).toContain(`gigvault_certificates_active{ca="issuing"} ${active}\n`);
        for (const [i, bucket] of ['7d', '30d', '90d'].entries())
          expect(text).toContain(
            `gigvault_certificates_expiring{ca="issuing",bucket="${bucket}"} ${expiring[i]}\n`,
          );
        expect(text).toContain('gigvault_certificates_active{ca="services"} 0\n');
      });
    await shows(5, 2, 3, 4);
    await certificates(clock.now(), [1]);
    clock.advance(4 * DAY);
    await shows(4, 1, 2, 3);
    await worker.stop();
  });

  it('are counted by the index alone', async () => {
    await certificates(
      systemClock.now(),
      Array.from({ length: 20_000 }, (_, i) => i % 400),
    );
    const owner = ca.database.ownerPool('ca');
    await owner.query('VACUUM ANALYZE');
    const { rows } = await owner.query(`EXPLAIN ${COUNT}`, [0, 1, 2, 3]);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/Index Only Scan using certificate_not_after on certificate/);
    expect(plan).not.toMatch(/Seq Scan on certificate/);
  });
});
