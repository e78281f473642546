import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { Pool, PoolClient } from 'pg';
import type { QueryRunner } from 'typeorm';
import { query } from './query.ts';

/** In a migration of a consuming service that goes on without the events that it can make nothing of: they are kept here. */
export async function createDeadLetterTable(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(`
    CREATE TABLE dead_letter (
      producer text NOT NULL,
      position bigint NOT NULL,
      type text NOT NULL,
      occurred_at bigint NOT NULL,
      actor text NOT NULL,
      subject text NOT NULL,
      data bytea NOT NULL,
      trace_id text NOT NULL,
      reason text NOT NULL,
      buried_at bigint NOT NULL,
      PRIMARY KEY (producer, position)
    )`);
}

/** Characters: enough to see what was wrong, and no copy of a large event. */
const LONGEST_REASON = 2_000;

/** What PostgreSQL takes as text: a message may quote whatever was in the event. */
function textOf(reason: unknown): string {
  return `${reason}`.slice(0, LONGEST_REASON).toWellFormed().replaceAll('\0', '\uFFFD');
}

/** Keeps an event, in the transaction that moves the cursor past it. @param now Unix ms */
export async function buryEvent(
  client: PoolClient,
  event: Event,
  reason: unknown,
  now: number,
): Promise<void> {
  const { producer, position, type, occurredAt, actor, subject, data, traceId } = event;
  await client.query({
    name: 'dead_letter_bury',
    text: `INSERT INTO dead_letter (producer, position, type, occurred_at, actor, subject, data, trace_id, reason, buried_at)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    values: [
      producer,
      position,
      type,
      occurredAt,
      actor,
      subject,
      data,
      traceId,
      textOf(reason),
      now,
    ],
  });
}

/** Takes one out again, in the transaction of its effects. False when somebody else has. */
export async function exhumeEvent(client: PoolClient, event: Event): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'dead_letter_exhume',
    text: 'DELETE FROM dead_letter WHERE producer = $1 AND position = $2',
    values: [event.producer, event.position],
  });
  return rowCount === 1;
}

/** The events of a producer that are kept, in their order; at most 1000. */
export async function deadLetters(pool: Pool, producer: string): Promise<Event[]> {
  const { rows } = await query<Event>(pool, {
    name: 'dead_letters',
    text: `SELECT producer, position, type, occurred_at AS "occurredAt", actor, subject, data, trace_id AS "traceId"
      FROM dead_letter WHERE producer = $1 ORDER BY position LIMIT 1000`,
    values: [producer],
  });
  return rows;
}

/** How many are kept, of all producers. */
export async function countDeadLetters(pool: Pool): Promise<number> {
  const { rows } = await query<{ count: number }>(pool, {
    name: 'dead_letters_count',
    text: 'SELECT count(*)::int AS count FROM dead_letter',
  });
  return rows[0]?.count ?? 0;
}
