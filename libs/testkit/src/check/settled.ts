import { systemClock } from '@gigvault/time/clock';
import type { Client } from 'pg';

/** Milliseconds for reconcilers, consumers and CRLs to catch up after whatever the test did. */
const SETTLE_LIMIT = 60_000;
const POLL = 100;
const PRODUCERS = ['auth', 'keymgr', 'ca', 'ra', 'enroll', 'audit'] as const;

/**
 * Waits until nothing is open and nobody lags; what still does is a finding. The connection is left inside a transaction
 * that reads that one moment: the services go on, and what one table says of a later moment is no finding.
 */
export async function settle(database: Client): Promise<string[]> {
  const end = systemClock.now() + SETTLE_LIMIT;
  for (;;) {
    await database.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const open = await unsettled(database);
    if (open.length === 0 || systemClock.now() > end)
      return open.map((what) => `after ${SETTLE_LIMIT} ms: ${what}`);
    await database.query('ROLLBACK');
    await systemClock.sleep(POLL);
  }
}

async function unsettled(database: Client): Promise<string[]> {
  const open: string[] = [];
  const count = async (what: string, sql: string) => {
    const { rows } = await database.query<{ n: string }>(sql);
    if (Number(rows[0]?.n) !== 0) open.push(`${rows[0]?.n} ${what}`);
  };
  await count('open intents of ca', "SELECT count(*) AS n FROM ca.intent WHERE status = 'open'");
  await count('open intents of crl', "SELECT count(*) AS n FROM crl.crl WHERE status = 'intended'");
  await count(
    'orders in processing',
    "SELECT count(*) AS n FROM enroll.order_ WHERE status = 'processing'",
  );
  await count(
    'approved requests that are not issued',
    "SELECT count(*) AS n FROM ra.enrolment_request WHERE status = 'approved'",
  );
  for (const producer of PRODUCERS) {
    await count(
      `events of ${producer} that are not audited, or audited and not there`,
      `SELECT (SELECT position FROM ${producer}.outbox_head) - (SELECT count(*) FROM audit.leaf WHERE producer = '${producer}') AS n`,
    );
  }
  await count(
    'events of ca that ocsp has not read',
    `SELECT (SELECT position FROM ca.outbox_head)
          - (SELECT position FROM ocsp.event_cursor WHERE producer = 'ca') AS n`,
  );
  await count(
    'revocations that are not on a CRL',
    `SELECT count(*) AS n FROM ca.certificate c WHERE c.status = 'revoked' AND c.not_after > extract(epoch FROM now()) * 1000
     AND NOT EXISTS (SELECT 1 FROM crl.revoked r JOIN crl.shard s USING (issuer_id, crl_shard)
                     WHERE r.issuer_id = c.issuer_id AND r.serial_number = c.serial_number AND s.published_number >= r.first_number)`,
  );
  return open;
}
