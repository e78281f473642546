import { type Clock, systemClock } from '@gigvault/time/clock';
import { nap } from '@gigvault/time/nap';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import { heldConnection } from './held-connection.ts';
import { query } from './query.ts';

/** Wakes whoever waits for a notification on a channel. */
export interface EventSignal {
  /** Changes with every notification: take it before reading, and hand it to `wait`. */
  generation(): number;
  /** There is something to read: wakes those who wait here at once, and those of other processes within ANNOUNCE_EVERY. */
  announce(): void;
  /** Resolves at once when the generation is no longer `seen`; otherwise with the next notification, after `ms`, or on abort. */
  wait(seen: number, ms: number, signal: AbortSignal): Promise<void>;
  /** True once the worker is stopping: whoever waits should give up. */
  isStopping(): boolean;
  /** Holds the listening connection; without it `wait` only times out. */
  readonly worker: Worker;
}

/** Where to listen. */
export interface EventSignalOptions {
  readonly pool: Pool;
  readonly channel: string;
  readonly clock: Clock;
  /** The worker's. */
  readonly name: string;
}

/** Milliseconds between two notifications: each wakes every listening connection of the database, whatever its channel. */
const ANNOUNCE_EVERY = 100;

/** A LISTEN on one connection of the pool, made again when it is lost. */
export function createEventSignal(options: EventSignalOptions): EventSignal {
  const { clock } = options;
  const stopping = new AbortController();
  let generation = 0;
  const notifyOthers = announcer(options, stopping.signal);
  let waiters: (() => void)[] = [];

  function wake(): void {
    generation += 1;
    const woken = waiters;
    waiters = [];
    for (const waiter of woken) waiter();
  }

  async function wait(seen: number, ms: number, signal: AbortSignal): Promise<void> {
    if (generation !== seen || signal.aborted) return;
    await nap(clock, ms, (end) => {
      waiters.push(end);
      signal.addEventListener('abort', end, { once: true });
      return () => {
        signal.removeEventListener('abort', end);
        waiters = waiters.filter((waiter) => waiter !== end);
      };
    });
  }

  const listener = heldConnection({
    name: options.name,
    pool: options.pool,
    clock,
    establish(client) {
      client.on('notification', wake);
      return client.query(`LISTEN ${options.channel}`);
    },
    // Whatever was committed while nobody listened.
    held: wake,
    // Who waits looks again by itself.
    lost: () => undefined,
  });

  return {
    generation: () => generation,
    wait,
    announce() {
      wake();
      notifyOthers();
    },
    isStopping: () => stopping.signal.aborted,
    worker: {
      ...listener,
      async stop() {
        stopping.abort();
        wake();
        await listener.stop();
      },
    },
  };
}

/** Tells the other processes, at once after a quiet time and then every ANNOUNCE_EVERY while there is something to tell. */
function announcer({ pool, channel }: EventSignalOptions, stopping: AbortSignal): () => void {
  let unannounced = false;
  let announcing = false;

  async function announce(): Promise<void> {
    announcing = true;
    while (unannounced && !stopping.aborted) {
      unannounced = false;
      const text = 'SELECT pg_notify($1, $2)';
      // Lost with the connection: who waits looks again by itself.
      await query(pool, { name: 'event_signal', text, values: [channel, ''] }).catch(
        () => undefined,
      );
      await systemClock.sleep(ANNOUNCE_EVERY, stopping).catch(() => undefined);
    }
    announcing = false;
  }

  return () => {
    unannounced = true;
    if (!announcing) void announce();
  };
}
