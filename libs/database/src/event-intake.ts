import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Event } from '@gigvault/proto/event/v1/event_log';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Pool, PoolClient } from 'pg';
import { buryEvent, deadLetters, exhumeEvent } from './dead-letters.ts';
import type { EventConsumerOptions } from './event-consumer.ts';
import { query } from './query.ts';
import { transaction } from './transaction.ts';

const BATCH = 500;
const ATTEMPTS = 5;
/** Events that were given up for a chance: more are a kind that nobody here can read, and tries would put the consumer behind for good. */
const MANY = 3;

/** How a consumer takes events in: their effects and the cursor, or the cursor alone for an event that is given up. */
export interface EventIntake {
  /** How many events to ask for after this position. */
  limit(position: number): number;
  /**
   * Takes in events that follow each other, and tells afterCommit. Returns where the cursor then is; throws when they are to be handed
   * over again.
   */
  take(events: readonly Event[]): Promise<number>;
  /** Where the cursor is. Before that, once, what was given up before is tried again; UNAVAILABLE when that cannot be told yet. */
  resume(): Promise<number>;
}

/** @param options of the consumer */
export function createIntake(options: EventConsumerOptions): EventIntake {
  const suspects = createSuspects(options.deadLetters?.attempts ?? ATTEMPTS);
  let revived = options.deadLetters === undefined;
  return {
    limit: (position) => (suspects.among(position) ? 1 : (options.batch ?? BATCH)),
    async take(events) {
      const { position } = events.at(-1)!;
      try {
        await consume(options, events);
      } catch (error) {
        const isPoison = options.deadLetters !== undefined && levelOf(error) === 'error';
        if (!isPoison || !suspects.failed(events)) throw error;
        await bury(options, events[0]!, error);
        return position;
      }
      suspects.worked(events);
      options.afterCommit?.(events);
      return position;
    },
    async resume() {
      if (!revived) await revive(options);
      revived = true;
      return readCursor(options.pool, options.producer);
    },
  };
}

/** What a retry can mend is no error yet; anything else needs somebody to look. */
export function levelOf(error: unknown): 'warn' | 'error' {
  const { code, row } = asGigvaultError(error);
  return row.retry && code !== 'INTERNAL' ? 'warn' : 'error';
}

/** The last position whose effects are durable, 0 before the first. */
export async function readCursor(pool: Pool, producer: string): Promise<number> {
  const text = 'SELECT position FROM event_cursor WHERE producer = $1';
  const { rows } = await query<{ position: number }>(pool, {
    name: 'event_cursor_read',
    text,
    values: [producer],
  });
  return Number(rows[0]?.position ?? 0);
}

/** The effects of events that follow each other and the cursor behind them, in one transaction. */
async function consume(options: EventConsumerOptions, events: readonly Event[]): Promise<void> {
  await durableStep(`${options.consumer ?? 'events'}.consume`, () =>
    transaction(options.pool, async (client) => {
      await moveCursor(client, events);
      await options.handle(client, events);
    }),
  );
}

/** Moves the cursor past an event without its effects, and keeps it. */
async function bury(options: EventConsumerOptions, event: Event, reason: unknown): Promise<void> {
  const { producer, position, type, subject } = event;
  await durableStep(`${options.consumer ?? 'events'}.dead-letter`, () =>
    transaction(options.pool, async (client) => {
      await moveCursor(client, [event]);
      await buryEvent(client, event, reason, options.clock.now());
    }),
  );
  options.log.error({ producer, position, type, subject, error: reason }, 'an event was given up');
  options.deadLetters?.onBuried?.(event);
}

/** This may be a version that can make something of it. Throws when one failed for what time mends: it has not been tried then. */
async function revive(options: EventConsumerOptions): Promise<void> {
  for (const event of await deadLetters(options.pool, options.producer)) {
    const { producer, position } = event;
    try {
      await transaction(options.pool, async (client) => {
        if (await exhumeEvent(client, event)) await options.handle(client, [event]);
      });
      options.log.info({ producer, position }, 'an event that was given up took effect');
    } catch (error) {
      if (levelOf(error) === 'warn') throw error;
      options.log.warn({ producer, position, error }, 'an event stays given up');
    }
  }
}

/**
 * Finds the event for which a batch fails: its events are taken one by one, and each has so many tries; one try after several were given up
 * and before a batch works as it comes.
 */
function createSuspects(attempts: number) {
  let until = 0;
  let tries = 0;
  let givenUp = 0;
  return {
    /** Whether the event after this position is one of a batch that failed. */
    among: (position: number) => position < until,
    /** True when it was one event, and had all its tries. */
    failed(events: readonly Event[]): boolean {
      until = Math.max(until, events.at(-1)!.position);
      tries = events.length === 1 ? tries + 1 : 0;
      if (tries < (givenUp < MANY ? attempts : 1)) return false;
      tries = 0;
      givenUp += 1;
      return true;
    },
    worked(events: readonly Event[]): void {
      tries = 0;
      if (events[0]!.position > until) givenUp = 0;
    },
  };
}

/** Locks the cursor before the effects, so that a second instance waits here and then finds nothing to do. */
async function moveCursor(client: PoolClient, events: readonly Event[]): Promise<void> {
  const { producer, position } = events[0]!;
  const from = position - 1;
  const to = events.at(-1)!.position;
  const text =
    from === 0
      ? `INSERT INTO event_cursor (producer, position) VALUES ($1, $3)
         ON CONFLICT (producer) DO UPDATE SET position = excluded.position WHERE event_cursor.position = $2`
      : 'UPDATE event_cursor SET position = $3 WHERE producer = $1 AND position = $2';
  const statement = from === 0 ? 'event_cursor_first' : 'event_cursor_move';
  const { rowCount } = await client.query({ name: statement, text, values: [producer, from, to] });
  if (rowCount !== 1) {
    throw new GigvaultError(
      'CONFLICT',
      `Another instance has consumed the events of ${producer} after ${from}.`,
    );
  }
}
