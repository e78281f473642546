import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Event, PullRequest, PullResponse } from '@gigvault/proto/event/v1/event_log';
import type { ServiceName } from '@gigvault/rpc/service-name';
import type { Clock } from '@gigvault/time/clock';
import { createSingleFlight } from '@gigvault/time/single-flight';
import type { Worker } from '@gigvault/time/worker';
import type { Pool, PoolClient, QueryResultRow } from 'pg';
import type { QueryRunner } from 'typeorm';
import { deleteInBatches } from './batched-delete.ts';
import { type Change, changeStatement } from './event-change.ts';
import { createEventSignal } from './event-signal.ts';
import { eventColumns, type NewEvent } from './new-event.ts';
import { query } from './query.ts';
import { executeOnce } from './transaction.ts';

/** How far behind a consumer is. */
export interface EventLag {
  readonly events: number;
  /** Age of the oldest event that it has not acknowledged, in milliseconds; 0 when there is none. */
  readonly oldestMs: number;
}

/** One service's event log, in the tables that createEventLogTables makes. */
export interface EventLog extends Pick<EventLogOptions, 'producer' | 'consumers'> {
  /**
   * Writes the events with dense positions. It must be the last statement of the transaction: it locks the log's head until the commit, so
   * commit order is position order. Nothing happens when there are no events.
   */
  append(client: PoolClient, events: readonly NewEvent[]): Promise<void>;
  /**
   * Makes a change and writes its events in one statement, which is a transaction by itself: for hot paths, where BEGIN, COMMIT and a
   * statement of their own cost more than the change. Errors as `executeOnce`.
   */
  change<R extends QueryResultRow>(change: Change): Promise<R[]>;
  /**
   * The events after `request.acknowledged`, which is recorded and never goes back. Waits up to `waitMs` when there are none.
   * Errors: FORBIDDEN for who is not a registered consumer; INTERNAL when the log has a gap, or ends before what the consumer has
   * acknowledged (restored from an old backup): nobody may go on as if nothing had happened.
   */
  pull(consumer: string, request: PullRequest, signal: AbortSignal): Promise<PullResponse>;
  lag(consumer: ServiceName): Promise<EventLag>;
  /**
   * Deletes events that every registered consumer has acknowledged and that are older than `keep` milliseconds; returns how many.
   * In batches; ends after the one in flight when `signal` aborts. See event-log-upkeep.ts: the host calls it for every service.
   */
  reap(keep: number, signal?: AbortSignal): Promise<number>;
  /** Listens for commits; put it in WORKERS. Without it pulls notice new events within a second. */
  readonly worker: Worker;
}

/** What an event log needs. */
export interface EventLogOptions {
  readonly pool: Pool;
  readonly producer: ServiceName;
  /** Who may pull. */
  readonly consumers: readonly ServiceName[];
  readonly clock: Clock;
}

const MAX_EVENTS = 1000;
const MAX_WAIT = 30_000;
/** Milliseconds. Everybody who waits looks at the same moments, since looks at the same place are one. */
const POLL = 1000;
/** Milliseconds. */
const ACKNOWLEDGE_EVERY = 250;
/** Octets of event data in one answer; a gRPC message may have 4 MiB. */
const MAX_OCTETS = 2 * 1024 * 1024;

const APPEND = `
  WITH head AS (
    UPDATE outbox_head SET position = position + $1 RETURNING position - $1 AS base
  ), written AS (
    INSERT INTO outbox (position, type, occurred_at, actor, subject, data, trace_id)
    SELECT head.base + e.n, e.type, $2, e.actor, e.subject, e.data, e.trace_id
    FROM head, unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
      WITH ORDINALITY AS e (trace_id, type, actor, subject, data, n)
    RETURNING position
  )
  SELECT pg_notify($8, '') FROM (SELECT count(*) FROM written) AS done`;

const READ = `
  SELECT h.position AS head, o.position, o.type, o.occurred_at, o.actor, o.subject, o.data, o.trace_id
  FROM outbox_head h LEFT JOIN LATERAL (
    SELECT position, type, occurred_at, actor, subject, data, trace_id
    FROM outbox WHERE position > $1 ORDER BY position LIMIT $2
  ) o ON true
  ORDER BY o.position`;

const ACKNOWLEDGE = `
  INSERT INTO outbox_consumer AS c (consumer, acknowledged) VALUES ($1, $2)
  ON CONFLICT (consumer) DO UPDATE SET acknowledged = excluded.acknowledged WHERE c.acknowledged < excluded.acknowledged`;

const LAG = `
  SELECT h.position - COALESCE(c.acknowledged, 0) AS events, o.occurred_at
  FROM outbox_head h
  LEFT JOIN outbox_consumer c ON c.consumer = $1
  LEFT JOIN outbox o ON o.position = COALESCE(c.acknowledged, 0) + 1`;

// From the lowest position on, and no further than one batch: no scan over what is acknowledged and still kept. By ctid, since the
// planner joins a list of positions by a scan of the table.
const REAP = `
  DELETE FROM outbox WHERE occurred_at < $1 AND ctid = ANY (ARRAY(
    SELECT ctid FROM outbox
    WHERE position <= (SELECT CASE WHEN count(*) = cardinality($2::text[]) THEN min(acknowledged) ELSE 0 END
                       FROM outbox_consumer WHERE consumer = ANY ($2::text[]))
    ORDER BY position LIMIT $3))`;

/** The event log of `producer`. */
export function createEventLog(options: EventLogOptions): EventLog {
  const { pool, producer, clock } = options;
  const channel = `outbox_${producer}`;
  const signal = createEventSignal({ pool, channel, clock, name: `${producer}.event-log` });
  const acknowledged = new Map<string, { position: number; at: number }>();
  const looks = createSingleFlight<PullResponse>();

  /** @param lazily under load not for every batch: what is acknowledged only says what may be deleted, and how far behind a consumer is */
  async function acknowledge(consumer: string, position: number, lazily: boolean): Promise<void> {
    const known = acknowledged.get(consumer);
    if (known !== undefined && known.position >= position) return;
    if (lazily && known !== undefined && clock.now() - known.at < ACKNOWLEDGE_EVERY) return;
    await query(pool, {
      name: 'outbox_acknowledge',
      text: ACKNOWLEDGE,
      values: [consumer, position],
    });
    acknowledged.set(consumer, { position, at: clock.now() });
  }

  /** The same event wakes consumers that stand at the same place. One look is theirs when it began after what woke the last of them. */
  function look({ acknowledged: position, waitMs }: PullRequest, limit: number, seen: number) {
    const run = () => read(options, position, limit);
    // Who does not wait asks what is there now.
    return waitMs === 0 ? run() : looks.join(`${seen} ${position} ${limit}`, run);
  }

  async function pull(
    consumer: string,
    request: PullRequest,
    abort: AbortSignal,
  ): Promise<PullResponse> {
    if (!options.consumers.some((name) => name === consumer)) {
      throw new GigvaultError(
        'FORBIDDEN',
        `${consumer} is not a consumer of the event log of ${producer}.`,
      );
    }
    const limit = Math.min(Math.max(request.limit, 1), MAX_EVENTS);
    const deadline = clock.now() + Math.min(request.waitMs, MAX_WAIT);
    for (let first = true; ; first = false) {
      const seen = signal.generation();
      const answer = await look(request, limit, seen);
      // Only after the read has shown that the consumer is not ahead of the log.
      if (first) await acknowledge(consumer, request.acknowledged, answer.events.length > 0);
      const left = deadline - clock.now();
      if (answer.events.length > 0 || left <= 0 || abort.aborted) return answer;
      if (signal.isStopping())
        throw new GigvaultError('UNAVAILABLE', `The event log of ${producer} is stopping.`);
      await signal.wait(seen, Math.min(left, POLL - (clock.now() % POLL)), abort);
    }
  }

  return {
    producer,
    consumers: options.consumers,
    append: (client, events) => append(options, channel, client, events),
    async change<R extends QueryResultRow>(change: Change): Promise<R[]> {
      const { rows } = await executeOnce<R>(pool, changeStatement(change, clock.now()));
      signal.announce();
      return rows;
    },
    pull,
    lag: (consumer) => lag(options, consumer),
    reap: (keep, abort = new AbortController().signal) =>
      deleteInBatches(pool, REAP, [clock.now() - keep, [...options.consumers]], abort),
    worker: signal.worker,
  };
}

async function append(
  options: EventLogOptions,
  channel: string,
  client: PoolClient,
  events: readonly NewEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const values = [events.length, options.clock.now(), ...eventColumns(events), channel];
  await client.query({ name: 'outbox_append', text: APPEND, values });
}

async function lag({ pool, clock }: EventLogOptions, consumer: ServiceName): Promise<EventLag> {
  const { rows } = await query<{ events: number; occurred_at: number | null }>(pool, {
    name: 'outbox_lag',
    text: LAG,
    values: [consumer],
  });
  const { events, occurred_at } = rows[0] ?? { events: 0, occurred_at: null };
  const behind = Number(events) > 0 && occurred_at !== null;
  return {
    events: Number(events),
    oldestMs: behind ? Math.max(0, clock.now() - Number(occurred_at)) : 0,
  };
}

async function read(
  options: EventLogOptions,
  acknowledged: number,
  limit: number,
): Promise<PullResponse> {
  const { producer } = options;
  const { rows } = await query<EventRow>(options.pool, {
    name: 'outbox_read',
    text: READ,
    values: [acknowledged, limit],
  });
  const head = Number(rows[0]?.head ?? 0);
  if (acknowledged > head) {
    throw corrupt(producer, `ends at ${head}, but position ${acknowledged} was acknowledged`);
  }
  const events = rows
    .filter(({ position }) => position !== null)
    .map((row) => toEvent(producer, row));
  for (const [i, { position }] of events.entries()) {
    if (position !== acknowledged + 1 + i)
      throw corrupt(producer, `has a gap at position ${acknowledged + 1 + i}`);
  }
  const last = acknowledged + events.length;
  if (events.length < limit && last !== head)
    throw corrupt(producer, `has a gap at position ${last + 1}`);
  return { events: withinOctets(events), head };
}

function withinOctets(events: Event[]): Event[] {
  let octets = 0;
  const end = events.findIndex(({ data }) => {
    octets += data.length + 256;
    return octets > MAX_OCTETS;
  });
  return end === -1 ? events : events.slice(0, Math.max(end, 1));
}

interface EventRow {
  readonly head: number | string;
  readonly position: number | string | null;
  readonly type: string;
  readonly occurred_at: number | string;
  readonly actor: string;
  readonly subject: string;
  readonly data: Buffer;
  readonly trace_id: string;
}

function toEvent(producer: string, row: EventRow): Event {
  return {
    position: Number(row.position),
    producer,
    type: row.type,
    occurredAt: Number(row.occurred_at),
    actor: row.actor,
    subject: row.subject,
    data: row.data,
    traceId: row.trace_id,
  };
}

function corrupt(producer: string, what: string): GigvaultError {
  return new GigvaultError('INTERNAL', `The event log of ${producer} ${what}.`);
}

/** In a migration of a producing service: the event log's tables, with its first consumers registered. */
export async function createEventLogTables(
  queryRunner: QueryRunner,
  consumers: readonly string[],
): Promise<void> {
  await queryRunner.query(`
    CREATE TABLE outbox (
      position bigint PRIMARY KEY,
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      type text NOT NULL,
      occurred_at bigint NOT NULL,
      actor text NOT NULL,
      subject text NOT NULL,
      data bytea NOT NULL,
      trace_id text NOT NULL
    )`);
  // One row that every append updates: room on its page keeps the updates in place (HOT).
  await queryRunner.query(`
    CREATE TABLE outbox_head (
      id boolean PRIMARY KEY DEFAULT true CHECK (id),
      position bigint NOT NULL
    ) WITH (fillfactor = 10)`);
  await queryRunner.query(`
    CREATE TABLE outbox_consumer (
      consumer text PRIMARY KEY,
      acknowledged bigint NOT NULL
    ) WITH (fillfactor = 10)`);
  await queryRunner.query('INSERT INTO outbox_head (position) VALUES (0)');
  await queryRunner.query(
    'INSERT INTO outbox_consumer (consumer, acknowledged) SELECT unnest($1::text[]), 0',
    [[...consumers]],
  );
}

/** In a migration of a consuming service: how far it has come in each producer's log. */
export async function createEventCursorTable(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(`
    CREATE TABLE event_cursor (
      producer text PRIMARY KEY,
      position bigint NOT NULL
    ) WITH (fillfactor = 50)`);
}
