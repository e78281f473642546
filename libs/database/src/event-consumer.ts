import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Event, EventLogService } from '@gigvault/proto/event/v1/event_log';
import type { Client } from '@gigvault/rpc/call';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import { type Clock, systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import type { Pool, PoolClient } from 'pg';
import { createIntake, levelOf, readCursor } from './event-intake.ts';

/** What a consumer needs. */
export interface EventConsumerOptions {
  /** Whose log. */
  readonly producer: ServiceName;
  /** Who consumes: in the worker's name and the durable step's. Default `events`. */
  readonly consumer?: ServiceName;
  readonly source: Client<EventLogService>;
  /** Of the schema with the table that createEventCursorTable makes. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  /** Most events in one transaction, 1 to 1000. Default 500. */
  readonly batch?: number;
  /** Milliseconds from one round to the next under load. Default 250: a round costs some eight statements, however few events it carries. */
  readonly pace?: number;
  /** The effects of the events, in the transaction that also moves the cursor. Called again with the same events after a failure. */
  handle(client: PoolClient, events: readonly Event[]): Promise<void>;
  /**
   * For a consumer that is better off without an event than held up by it: see eventConsumer. Without this, nothing is ever skipped. The
   * schema has the table that createDeadLetterTable makes.
   */
  readonly deadLetters?: {
    /** Tries of an event by itself. Default 5, which take some two seconds; one after several were given up. */
    readonly attempts?: number;
    /** Told when one was given up. */
    onBuried?(event: Event): void;
  };
  /** Told after each commit, before the next batch. A crash may skip it: nothing that must happen belongs here. */
  afterCommit?(events: readonly Event[]): void;
}

/** Where a consumer stands. */
export interface EventProgress {
  /** The last position whose effects are durable. */
  readonly position: number;
  /** The newest position that the producer has told of. */
  readonly head: number;
  /** When the producer was last heard of, Unix milliseconds; 0 before. */
  readonly heardAt: number;
  /** Why the last round failed; undefined when it did not. Logged when it changes, not at each retry. */
  readonly failure: unknown;
}

/** A worker that follows one event log. */
export interface EventConsumer extends Worker {
  /** Resolves when everything that was in the log at the time of the call is durable here. Errors: UNAVAILABLE when the worker is stopped. */
  caughtUp(): Promise<void>;
  progress(): EventProgress;
}

const WAIT = 20_000;
const CALL_DEADLINE = WAIT + 5_000;
const FIRST_RETRY = 100;
const LONGEST_RETRY = 1_000;
const PACE = 250;

/**
 * Follows an event log: pulls with a long poll, hands over batches in order of position, and stores the cursor in the same transaction as
 * the effects. So each event takes effect exactly once, whatever dies. Two instances may run: the cursor is compared and set, the
 * second waits and finds it moved. A batch that fails is retried until it succeeds; nothing is skipped.
 *
 * With `deadLetters` one event does not hold up the others: when a batch fails for a reason that time does not mend, its events are handed
 * over one by one, and one that fails by itself, each time, is kept in `dead_letter` instead. It is logged as an error, and tried again at
 * each start. It then comes after events that were behind it, so this is for consumers whose events have nothing to do with each other.
 */
export function eventConsumer(options: EventConsumerOptions): EventConsumer {
  const { producer, clock, log } = options;
  const name = `${options.consumer ?? 'events'}.from-${producer}`;
  const stopping = new AbortController();
  const state = { position: 0, head: 0, heardAt: 0 };
  const failures = failureLog(log, 'consuming failed; trying again', 'consuming goes on');
  const waiters = createWaiters();
  const pace = createPace(options.pace ?? PACE);
  const intake = createIntake(options);
  let running: Promise<void> = Promise.resolve();

  /** @param first after a start or a failure: the answer says that all is well, so it must not wait for an event */
  async function round(first: boolean): Promise<void> {
    const waitMs = first ? 0 : WAIT;
    const { events, head } = await options.source.pull(
      { acknowledged: state.position, limit: intake.limit(state.position), waitMs },
      { deadline: CALL_DEADLINE, signal: stopping.signal },
    );
    Object.assign(state, { head, heardAt: clock.now() });
    pace.arrived();
    if (events.length === 0) return;
    checkOrder(producer, state.position, events);
    state.position = await intake.take(events);
    waiters.reached(state.position);
  }

  async function loop(): Promise<void> {
    let delay = FIRST_RETRY;
    let known = false;
    while (!stopping.signal.aborted) {
      try {
        if (!known) state.position = await intake.resume();
        waiters.reached(state.position);
        await round(!known);
        known = true;
        failures.worked({ producer, position: state.position });
        delay = FIRST_RETRY;
        if (state.position >= state.head) await pace.wait(stopping.signal);
      } catch (error) {
        if (stopping.signal.aborted) break;
        known = false;
        failures.failed(levelOf(error), error, { producer, position: state.position });
        await clock.sleep(delay, stopping.signal).catch(() => undefined);
        delay = Math.min(delay * 2, LONGEST_RETRY);
      }
    }
    waiters.reject(stopped(name));
  }

  return {
    name,
    async start() {
      running = loop();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await running;
    },
    async caughtUp() {
      // The durable cursor: right after the start the loop does not know it yet, and a pull acknowledges what it names.
      const acknowledged = await readCursor(options.pool, producer);
      const { head } = await options.source.pull({ acknowledged, limit: 1, waitMs: 0 });
      if (stopping.signal.aborted) throw stopped(name);
      const reached = waiters.until(head);
      waiters.reached(state.position);
      await reached;
    },
    progress: () => ({ ...state, failure: failures.failure() }),
  };
}

/**
 * An event after a quiet time takes effect at once; those that follow closely go together. By the machine's time, which nobody sets: how
 * often it works is no matter of the service's.
 */
function createPace(ms: number) {
  let arrivedAt = 0;
  return {
    arrived(): void {
      arrivedAt = performance.now();
    },
    async wait(signal: AbortSignal): Promise<void> {
      const left = arrivedAt + ms - performance.now();
      if (left > 0) await systemClock.sleep(left, signal).catch(() => undefined);
    },
  };
}

interface Waiter {
  readonly target: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** Those who wait for the cursor to reach a position. */
function createWaiters() {
  let waiting: Waiter[] = [];
  return {
    until: (target: number) =>
      new Promise<void>((resolve, reject) => waiting.push({ target, resolve, reject })),
    reached(position: number): void {
      const done = waiting.filter((waiter) => waiter.target <= position);
      waiting = waiting.filter((waiter) => waiter.target > position);
      for (const waiter of done) waiter.resolve();
    },
    reject(error: unknown): void {
      for (const waiter of waiting.splice(0)) waiter.reject(error);
    },
  };
}

function checkOrder(producer: string, position: number, events: readonly Event[]): void {
  for (const [i, event] of events.entries()) {
    if (event.position !== position + 1 + i || event.producer !== producer) {
      const message = `Expected event ${position + 1 + i} of ${producer}, got ${event.position} of ${event.producer}.`;
      throw new GigvaultError('INTERNAL', message);
    }
  }
}

function stopped(name: string): GigvaultError {
  return new GigvaultError('UNAVAILABLE', `${name} is stopped.`);
}
