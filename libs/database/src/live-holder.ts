import { randomInt } from 'node:crypto';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import { heldConnection } from './held-connection.ts';

/** The first key of the advisory locks that stand for processes. */
const LOCK_CLASS = 26_486;

/** A process that is known to live for as long as its connection to the database does. */
export interface LiveHolder extends Worker {
  /** Written beside what this process works on; undefined while nobody could tell that it lives. */
  id(): number | undefined;
}

/** What a holder needs. */
export interface LiveHolderOptions {
  /** As `ca`: in the worker's name. */
  readonly name: string;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Holds an advisory lock of a session on a number of its own: PostgreSQL drops it with the connection, so at once when the process is killed.
 * Takes one connection of the pool.
 */
export function liveHolder({ name, pool, clock, log }: LiveHolderOptions): LiveHolder {
  const id = randomInt(1, 2 ** 31 - 1);
  const failures = failureLog(
    log,
    'other replicas cannot tell that this one lives',
    'other replicas can tell again that this one lives',
  );
  let held = false;
  const worker = heldConnection({
    name: `${name}.live-holder`,
    pool,
    clock,
    establish: (client) =>
      client.query('SELECT pg_advisory_lock($1::int, $2::int)', [LOCK_CLASS, id]),
    held() {
      held = true;
      failures.worked();
    },
    lost(error) {
      held = false;
      failures.failed('warn', error);
    },
  });
  return { ...worker, id: () => (held ? id : undefined) };
}

/** SQL: whether the process lives whose id stands in `column` (an expression of type integer). */
export function isHeld(column: string): string {
  return `EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASS}
    AND l.objsubid = 2 AND l.objid = (${column})::bigint::oid
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;
}
