import { deleteInBatches } from '@gigvault/database/batched-delete';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** How long what has expired is still shown, milliseconds. */
const KEEP = 7 * DAY;

// Authorizations that were validated stay: they are the record of why certificates were issued.
const UNUSED = `DELETE FROM authorization_ WHERE ctid = ANY (ARRAY(
  SELECT a.ctid FROM authorization_ a WHERE a.status = 'pending' AND a.expires_at < $1
    AND NOT EXISTS (SELECT FROM validation_evidence e WHERE e.authorization_id = a.authorization_id)
  ORDER BY a.expires_at LIMIT $2))`;

/** What the reaper needs. */
export interface ReaperOptions {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

/** Deletes authorizations that nobody ever used. */
export function reaper({ pool, clock, clockGuard, log }: ReaperOptions): Worker {
  return periodic({
    name: 'ra.reaper',
    clock,
    interval: HOUR,
    async round(signal) {
      const gone = await deleteInBatches(pool, UNUSED, [clockGuard.now() - KEEP], signal);
      if (gone > 0) log.info({ authorizations: gone }, 'reaped');
    },
    onError: (error) => log.error({ error }, 'reaping broke off'),
  });
}
