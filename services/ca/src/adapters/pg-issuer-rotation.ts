import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Pool, PoolClient } from 'pg';
import type { CaEvent } from '../ports/event.ts';
import type { IssuerRetirement, IssuerRotation } from '../ports/issuer-rotation.ts';

/** Rotations in PostgreSQL: compare-and-set on the issuers' states. */
export function createPgIssuerRotation(pool: Pool, eventLog: EventLog): IssuerRotation {
  return {
    begin: (from, event) =>
      durableStep('ca.rotation', () =>
        transaction(pool, async (client) => {
          const { rowCount } = await client.query(
            `UPDATE issuer SET successor_begun = true WHERE issuer_id = $1 AND NOT successor_begun`,
            [from],
          );
          return told(client, eventLog, rowCount, event);
        }),
      ),
    confirm: (issuerId, peer, event) =>
      durableStep('ca.issuer-confirmed', () =>
        transaction(pool, async (client) => {
          const { rowCount } = await client.query(
            `UPDATE issuer SET confirmed_by = array_append(confirmed_by, $2)
             WHERE issuer_id = $1 AND state = 'prepared' AND $2 <> ALL (confirmed_by)`,
            [issuerId, peer],
          );
          return told(client, eventLog, rowCount, event);
        }),
      ),
    switchTo: ({ issuerId, from, at }, peers, event) =>
      durableStep('ca.issuer-switched', () =>
        transaction(pool, async (client) => {
          // One statement reads both: the old one is let go only for a new one that may take its place.
          const { rowCount: released } = await client.query(
            `UPDATE issuer AS old SET state = 'superseded', superseded_at = $4 FROM issuer AS new
             WHERE old.issuer_id = $2 AND old.state = 'current' AND new.issuer_id = $1 AND new.state = 'prepared'
               AND coalesce(new.line, new.issuer_id) = coalesce(old.line, old.issuer_id) AND new.confirmed_by @> $3::text[]`,
            [issuerId, from, peers, at],
          );
          if (released !== 1) return false;
          const { rowCount } = await client.query(
            `UPDATE issuer SET state = 'current' WHERE issuer_id = $1 AND state = 'prepared'`,
            [issuerId],
          );
          // What was prepared a moment ago is so for ever, or current: by another process, which holds the old one's row until it has committed.
          if (rowCount !== 1) throw new Error(`issuer ${issuerId} is not prepared any more`);
          return told(client, eventLog, rowCount, event);
        }),
      ),
  };
}

/** Certificates that a relying party may ask about; a responder's own is not one. */
const ISSUED = `issuer_id = $1 AND profile <> 'ocsp-signer'`;

/** Ends of issuers in PostgreSQL. */
export function createPgIssuerRetirement(pool: Pool, eventLog: EventLog): IssuerRetirement {
  return {
    async lastNotAfter(issuerId) {
      const { rows } = await query<{ last: string | null }>(pool, {
        name: 'ca.last-not-after',
        text: `SELECT max(last) AS last FROM (
                 (SELECT not_after AS last FROM certificate WHERE status = 'valid' AND ${ISSUED} ORDER BY not_after DESC LIMIT 1)
                 UNION ALL
                 (SELECT max(not_after) FROM certificate WHERE status = 'revoked' AND ${ISSUED})) AS ends`,
        values: [issuerId],
      });
      const last = rows[0]?.last ?? null;
      return last === null ? undefined : Number(last);
    },
    retire: (issuerId, after, event) =>
      durableStep('ca.issuer-retired', () =>
        transaction(pool, async (client) => {
          const { rowCount } = await client.query(
            `UPDATE issuer SET state = 'retired' WHERE issuer_id = $1 AND state = 'superseded' AND superseded_at < $2
               AND NOT EXISTS (SELECT FROM intent WHERE status = 'open' AND issuer_id = $1)
               AND NOT EXISTS (SELECT FROM certificate WHERE status = 'valid' AND not_after >= $2 AND ${ISSUED})
               AND NOT EXISTS (SELECT FROM certificate WHERE status = 'revoked' AND not_after >= $2 AND ${ISSUED})`,
            [issuerId, after],
          );
          return told(client, eventLog, rowCount, event);
        }),
      ),
  };
}

async function told(
  client: PoolClient,
  eventLog: EventLog,
  rowCount: number | null,
  event: CaEvent,
): Promise<boolean> {
  if (rowCount !== 1) return false;
  await eventLog.append(client, [event]);
  return true;
}
