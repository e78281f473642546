import type { QueryConfig } from 'pg';
import { column } from './columns.ts';
import { eventColumns, type NewEvent } from './new-event.ts';

/** Rows that change, and what is told of each. */
export interface Change {
  /** Of the prepared statement. */
  readonly name: string;
  /** `WITH …`, common table expressions with placeholders $1 … for `values`. One is called `told`: its column `key` (text) says whose events are written. */
  readonly expressions: string;
  readonly values: readonly unknown[];
  /** SELECT of what the statement returns. */
  readonly returning: string;
  readonly events: readonly { readonly key: string; readonly event: NewEvent }[];
}

/**
 * A change and its events as one statement. The update of the head counts what was changed, so it comes after the change and the head is
 * locked as shortly as by `append`.
 */
export function changeStatement(change: Change, now: number): QueryConfig {
  const first = change.values.length + 1;
  const parameter = (n: number) => `$${first + n}`;
  return {
    name: change.name,
    text: `${change.expressions}, event AS (
        SELECT e.*, row_number() OVER (ORDER BY e.n) AS place
        FROM unnest(${parameter(0)}::text[], ${parameter(1)}::text[], ${parameter(2)}::text[], ${parameter(3)}::text[],
          ${parameter(4)}::text[], ${parameter(5)}::bytea[])
          WITH ORDINALITY AS e (key, trace_id, type, actor, subject, data, n)
        WHERE e.key IN (SELECT key FROM told)
      ), head AS (
        UPDATE outbox_head SET position = position + (SELECT count(*) FROM event) RETURNING position
      ), written AS (
        INSERT INTO outbox (position, type, occurred_at, actor, subject, data, trace_id)
        SELECT head.position - (SELECT count(*) FROM event) + e.place, e.type, ${parameter(6)}::bigint, e.actor, e.subject, e.data,
          e.trace_id
        FROM head, event e
      )
      ${change.returning}`,
    values: [
      ...change.values,
      column.text(change.events.map(({ key }) => key)),
      ...eventColumns(change.events.map(({ event }) => event)),
      now,
    ],
  };
}
