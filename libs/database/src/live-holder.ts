import { randomInt } from 'node:crypto';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool, PoolClient } from 'pg';
import { databaseError } from './database-error.ts';

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
  let held = false;
  const worker = periodic({
    name: `${name}.live-holder`,
    clock,
    interval: 1_000,
    round: (signal) =>
      hold(pool, id, signal, () => {
        held = true;
      }).finally(() => {
        held = false;
      }),
    onError: (error) => log.warn({ error }, 'other replicas cannot tell that this one lives'),
  });
  return { ...worker, id: () => (held ? id : undefined) };
}

/** Resolves when stopped; rejects when the connection is lost. */
async function hold(
  pool: Pool,
  id: number,
  signal: AbortSignal,
  locked: () => void,
): Promise<void> {
  const client: PoolClient = await pool
    .connect()
    .catch((error) => Promise.reject(databaseError(error)));
  const { promise: over, resolve, reject } = Promise.withResolvers<void>();
  const onEnd = () => reject(new Error('the connection ended'));
  const onAbort = () => resolve();
  client.on('error', reject).on('end', onEnd);
  signal.addEventListener('abort', onAbort, { once: true });
  over.catch(() => undefined);
  try {
    await client.query('SELECT pg_advisory_lock($1::int, $2::int)', [LOCK_CLASS, id]);
    locked();
    if (!signal.aborted) await over;
  } finally {
    signal.removeEventListener('abort', onAbort);
    client.off('end', onEnd).off('error', reject);
    client.on('error', () => undefined);
    // Destroyed, not returned: the lock goes with it.
    client.release(true);
  }
}

/** SQL: whether the process lives whose id stands in `column` (an expression of type integer). */
export function isHeld(column: string): string {
  return `EXISTS (SELECT FROM pg_locks AS l WHERE l.locktype = 'advisory' AND l.granted AND l.classid = ${LOCK_CLASS}
    AND l.objsubid = 2 AND l.objid = (${column})::bigint::oid
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;
}
