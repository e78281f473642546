import { databaseError } from '@gigvault/database/database-error';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type { CrlFrame, CrlIntent, CrlPlan, CrlStore, PublishedFacts } from '../ports/crl-store.ts';
import type { ShardKey } from '../ports/shard.ts';
import { putLastPart, putPart, putRuns, readParts } from './pg-parts.ts';
import { FULL_RUN, keepRuns, measureRuns, pruneRuns } from './pg-runs.ts';

/** Older CRLs of a shard that stay in the table. */
const KEPT = 5;

/** Number of the part before a TBSCertList, which makes it a CertificateList. */
const HEAD = 0;

/** CRLs in tables `crl`, `crl_part`, `crl_run` and `shard`. @param fullRun entries of a full run */
export function pgCrlStore(pool: Pool, fullRun = FULL_RUN): CrlStore {
  return {
    exclusive: (shard, run) => exclusive(pool, shard, run),
    openIntent: (shard) => openIntent(pool, shard),
    async intend(shard, plan) {
      // By itself: what is too large to be signed is joined once, and not again at each try.
      await transaction(pool, (client) => joinEntries(client, shard, plan, fullRun));
      return transaction(pool, (client) => intend(client, shard, plan, fullRun));
    },
    tbs: ({ intentId }) => readParts(pool, intentId, HEAD + 1),
    publish: (intent, frame) => transaction(pool, (client) => publish(client, intent, frame)),
    prune: (shard) => prune(pool, shard),
    abandon: (intent, now) => transaction(pool, (client) => abandon(client, intent, now)),
  };
}

/**
 * Holds an advisory lock of a session, not of a transaction: nothing is open while the key is asked, and PostgreSQL drops the lock with
 * the connection. Should the connection die first, a second generator may begin; the intent's compare-and-set keeps the two apart.
 */
async function exclusive<T>(
  pool: Pool,
  shard: ShardKey,
  run: () => Promise<T>,
): Promise<T | 'busy'> {
  const client = await pool.connect().catch((error) => Promise.reject(databaseError(error)));
  const ignore = () => undefined;
  client.on('error', ignore);
  const key = `gigvault.crl/${shard.issuerId}/${shard.crlShard}`;
  let held = false;
  let released = true;
  try {
    const { rows } = await client.query<{ held: boolean }>(
      'SELECT pg_try_advisory_lock(hashtextextended(current_schema() || $1, 0)) AS held',
      [key],
    );
    held = rows[0]?.held === true;
    return held ? await run() : 'busy';
  } finally {
    if (held) released = await unlock(client, key);
    client.off('error', ignore);
    client.release(!released);
  }
}

/** False when the connection is lost, and the lock with it. */
function unlock(client: PoolClient, key: string): Promise<boolean> {
  return client
    .query('SELECT pg_advisory_unlock(hashtextextended(current_schema() || $1, 0))', [key])
    .then(
      () => true,
      () => false,
    );
}

async function openIntent(pool: Pool, shard: ShardKey): Promise<CrlIntent | undefined> {
  const { issuerId, crlShard } = shard;
  const { rows } = await query<{ intent_id: string; crl_number: number; octets: number }>(pool, {
    text: `SELECT intent_id, crl_number,
                  (SELECT sum(octet_length(COALESCE(p.octets, r.octets)))::bigint
                     FROM crl_part p LEFT JOIN crl_run r USING (run_id) WHERE p.intent_id = crl.intent_id) AS octets
             FROM crl WHERE issuer_id = $1 AND crl_shard = $2 AND status = 'intended'`,
    values: [issuerId, crlShard],
  });
  const [row] = rows;
  if (!row) return undefined;
  const crlNumber = Number(row.crl_number);
  return { issuerId, crlShard, intentId: row.intent_id, crlNumber, octets: Number(row.octets) };
}

async function joinEntries(
  client: PoolClient,
  shard: ShardKey,
  plan: CrlPlan,
  fullRun: number,
): Promise<void> {
  const { issuerId, crlShard } = shard;
  await client.query('SELECT FROM shard WHERE issuer_id = $1 AND crl_shard = $2 FOR UPDATE', [
    issuerId,
    crlShard,
  ]);
  // Those that have expired are in every run: a list that somebody waits for rewrites none of them.
  if (plan.scheduled) await dropExpired(client, shard, plan.thisUpdate);
  await keepRuns(client, shard, fullRun);
}

async function intend(
  client: PoolClient,
  shard: ShardKey,
  plan: CrlPlan,
  fullRun: number,
): Promise<CrlIntent> {
  const { issuerId, crlShard } = shard;
  // Locks the shard: revocations that commit later mark it changed again.
  const { rows } = await client.query<{ crl_number: number }>(
    `UPDATE shard SET crl_number = greatest(crl_number + 1, $3), changed_at = NULL
      WHERE issuer_id = $1 AND crl_shard = $2 RETURNING crl_number`,
    [issuerId, crlShard, Math.floor(plan.thisUpdate / 1000)],
  );
  const crlNumber = Number(rows[0]?.crl_number);
  await keepRuns(client, shard, fullRun);
  const { count, octets } = await measureRuns(client, shard);
  const { head, tail } = plan.frame(crlNumber, octets);
  const { intentId } = plan;
  await client.query(
    `INSERT INTO crl (issuer_id, crl_shard, crl_number, intent_id, status, scheduled, this_update, next_update, entry_count)
     VALUES ($1, $2, $3, $4, 'intended', $5, $6, $7, $8)`,
    [
      issuerId,
      crlShard,
      crlNumber,
      intentId,
      plan.scheduled,
      plan.thisUpdate,
      plan.nextUpdate,
      count,
    ],
  );
  await putPart(client, intentId, HEAD + 1, head);
  await putRuns(client, shard, { intentId, first: HEAD + 2 });
  await putLastPart(client, intentId, tail);
  return { issuerId, crlShard, intentId, crlNumber, octets: head.length + octets + tail.length };
}

/**
 * RFC 5280 §3.3: an entry stands on one regularly scheduled CRL beyond the certificate's end before it may go. A CRL from the future, made by
 * a clock that was wrong, ends nothing.
 */
async function dropExpired(
  client: PoolClient,
  { issuerId, crlShard }: ShardKey,
  thisUpdate: number,
): Promise<void> {
  await client.query(
    `DELETE FROM revoked AS r USING shard AS s
      WHERE s.issuer_id = $1 AND s.crl_shard = $2 AND r.issuer_id = $1 AND r.crl_shard = $2
        AND r.not_after < least(s.scheduled_update, $3) AND r.first_number <= s.scheduled_number`,
    [issuerId, crlShard, thisUpdate],
  );
}

async function publish(
  client: PoolClient,
  intent: CrlIntent,
  { head, tail }: CrlFrame,
): Promise<PublishedFacts | undefined> {
  const octets = head.length + intent.octets + tail.length;
  const { rows } = await client.query<{
    this_update: number;
    next_update: number;
    scheduled: boolean;
    entry_count: number;
  }>(
    `UPDATE crl SET status = 'published', octets = $2
      WHERE intent_id = $1 AND status = 'intended' RETURNING this_update, next_update, scheduled, entry_count`,
    [intent.intentId, octets],
  );
  const [row] = rows;
  if (!row) return undefined;
  await putPart(client, intent.intentId, HEAD, head);
  await putLastPart(client, intent.intentId, tail);
  const { issuerId, crlShard, crlNumber } = intent;
  await client.query(
    `UPDATE shard SET published_number = $3, this_update = $4, next_update = $5,
        scheduled_number = CASE WHEN $6 THEN $3 ELSE scheduled_number END,
        scheduled_update = CASE WHEN $6 THEN $4 ELSE scheduled_update END
      WHERE issuer_id = $1 AND crl_shard = $2 AND COALESCE(published_number, 0) < $3::bigint`,
    [issuerId, crlShard, crlNumber, row.this_update, row.next_update, row.scheduled],
  );
  return {
    crlNumber,
    thisUpdate: Number(row.this_update),
    nextUpdate: Number(row.next_update),
    entryCount: row.entry_count,
    octets,
  };
}

async function prune(pool: Pool, shard: ShardKey): Promise<void> {
  const { issuerId, crlShard } = shard;
  await query(pool, {
    text: `DELETE FROM crl WHERE issuer_id = $1 AND crl_shard = $2 AND crl_number < (
       SELECT c.crl_number FROM crl c JOIN shard s USING (issuer_id, crl_shard)
        WHERE issuer_id = $1 AND crl_shard = $2 AND c.crl_number <= s.published_number
        ORDER BY c.crl_number DESC OFFSET $3 LIMIT 1)`,
    values: [issuerId, crlShard, KEPT],
  });
  await pruneRuns(pool, shard);
}

async function abandon(client: PoolClient, intent: CrlIntent, now: number): Promise<void> {
  const { rowCount } = await client.query(
    `UPDATE crl SET status = 'abandoned' WHERE intent_id = $1 AND status = 'intended'`,
    [intent.intentId],
  );
  if (rowCount !== 1) return;
  await client.query('DELETE FROM crl_part WHERE intent_id = $1', [intent.intentId]);
  await client.query(
    `UPDATE shard SET changed_at = COALESCE(changed_at, $3)
      WHERE issuer_id = $1 AND crl_shard = $2`,
    [intent.issuerId, intent.crlShard, now],
  );
}
