import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** How long what has expired is still shown, and how long acknowledged events are kept, in milliseconds. */
const KEEP = 7 * DAY;
const BATCH = 1000;

// Authorizations that were validated stay: they are the record of why certificates were issued.
const UNUSED = `DELETE FROM authorization_ WHERE authorization_id IN (
  SELECT a.authorization_id FROM authorization_ a WHERE a.status = 'pending' AND a.expires_at < $1
    AND NOT EXISTS (SELECT FROM validation_evidence e WHERE e.authorization_id = a.authorization_id)
  LIMIT $2)`;

/** What the reaper needs. */
export interface ReaperOptions {
  readonly pool: Pool;
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly log: Log;
}

/** Deletes authorizations that nobody ever used, and events that every consumer has. */
export function reaper({ pool, eventLog, clock, log }: ReaperOptions): Worker {
  return periodic({
    name: 'ra.reaper',
    clock,
    interval: HOUR,
    async round() {
      const { rowCount } = await query(pool, {
        name: 'ra_reap',
        text: UNUSED,
        values: [clock.now() - KEEP, BATCH],
      });
      const events = await eventLog.reap(KEEP);
      if (rowCount || events) log.info({ authorizations: rowCount, events }, 'reaped');
      return rowCount === BATCH ? 0 : HOUR;
    },
    onError: (error) => log.error({ error }, 'reaping broke off'),
  });
}
