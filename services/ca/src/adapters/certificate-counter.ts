import { query } from '@gigvault/database/query';
import type { ServiceContext } from '@gigvault/host/service';
import { periodic, type Worker } from '@gigvault/time/worker';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Of the time at most this part is spent counting: with many millions of certificates, rounds are further apart than a minute. */
const SHARE = 1 / 50;

/** Certificates in force, and those of them that end within 7, 30 and 90 days; in one pass over the index `certificate_not_after` alone. */
export const COUNT = `
  SELECT i.issuer_id, c.active, c."7d", c."30d", c."90d" FROM issuer AS i LEFT JOIN (
    SELECT issuer_id, count(*) AS active, count(*) FILTER (WHERE not_after <= $2) AS "7d",
           count(*) FILTER (WHERE not_after <= $3) AS "30d", count(*) FILTER (WHERE not_after <= $4) AS "90d"
    FROM certificate WHERE status = 'valid' AND not_after > $1 GROUP BY issuer_id
  ) AS c USING (issuer_id)`;

const BUCKETS = ['7d', '30d', '90d'] as const;

/** Numbers are null for a CA without any. */
type Row = Readonly<
  Record<'active' | (typeof BUCKETS)[number], number | null> & { issuer_id: string }
>;

/** Counts each CA's certificates once a minute, for the gauges. */
export function certificateCounter(
  context: Pick<ServiceContext<unknown>, 'clock' | 'database' | 'log' | 'metrics'>,
): Worker {
  const { clock, database, log, metrics } = context;
  const active = metrics.gauge('certificates_active', 'Certificates in force.', ['ca']);
  const expiring = metrics.gauge(
    'certificates_expiring',
    'Certificates in force that end within the time that the bucket names.',
    ['ca', 'bucket'],
  );
  return periodic({
    name: 'ca.certificate-counter',
    clock,
    interval: MINUTE,
    async round() {
      const now = clock.now();
      const values = [now, now + 7 * DAY, now + 30 * DAY, now + 90 * DAY];
      const { rows } = await query<Row>(database, { name: 'ca.count', text: COUNT, values });
      for (const row of rows) {
        const ca = row.issuer_id;
        active.set({ ca }, Number(row.active));
        for (const bucket of BUCKETS) expiring.set({ ca, bucket }, Number(row[bucket]));
      }
      return Math.max(MINUTE, (clock.now() - now) / SHARE);
    },
    onError: (error) =>
      log.warn({ error, operation: 'ca.certificate-counter' }, 'certificates are not counted'),
  });
}
