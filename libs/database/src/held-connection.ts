import { type Clock, systemClock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool, PoolClient } from 'pg';
import { databaseError } from './database-error.ts';

/** What a held connection is for. */
export interface HeldConnectionOptions {
  /** The worker's; stands in the text of its pings as well, as `pg_stat_activity` shows it. */
  readonly name: string;
  readonly pool: Pool;
  readonly clock: Clock;
  /** Milliseconds between two pings, and how long one may take. Default 5,000. */
  readonly pingEvery?: number;
  /** Makes a new connection what it is held for, as LISTEN. */
  establish(client: PoolClient): Promise<unknown>;
  /** It is established. */
  held(): void;
  /** It was lost, or could not be established; tried again soon. Not told when it is stopped. */
  lost(error: unknown): void;
}

/** Milliseconds until a lost connection is made again. Always the same: however often it was lost, it is one connection that is tried. */
const RECONNECT = 500;
const PING = 5_000;

/**
 * Holds one connection of the pool until it is lost, and then another one. It is pinged: one that is only half open, as behind a firewall
 * that forgot it, is as silent as one with nothing to tell.
 */
export function heldConnection(options: HeldConnectionOptions): Worker {
  const { name, clock, lost } = options;
  return periodic({
    name,
    clock,
    interval: RECONNECT,
    // Never fails: periodic waits longer after each failure.
    round: (stopping) =>
      hold(options, stopping).catch((error) => {
        if (!stopping.aborted) lost(error);
      }),
    onError: lost,
  });
}

/** Rejects when the connection is lost, or when stopped. */
async function hold(options: HeldConnectionOptions, stopping: AbortSignal): Promise<never> {
  const client = await options.pool.connect().catch((error) => {
    throw databaseError(error);
  });
  const gone = new AbortController();
  // Stays: what is destroyed below may still fail.
  client.on('error', (error) => gone.abort(error));
  client.on('end', () => gone.abort(new Error('the connection ended')));
  try {
    await options.establish(client);
    options.held();
    return await pingOn(client, options, AbortSignal.any([stopping, gone.signal]));
  } finally {
    // Destroyed, not returned: what it was held for goes with it.
    client.release(true);
  }
}

/** By the machine's time: how often it asks is no matter of the service's. */
async function pingOn(
  client: PoolClient,
  { name, pingEvery = PING }: HeldConnectionOptions,
  over: AbortSignal,
): Promise<never> {
  for (;;) {
    await systemClock.sleep(pingEvery, over);
    const ping = client.query(`SELECT 1 -- ${name}`);
    await within(systemClock, pingEvery, ping, 'the connection is silent');
  }
}
