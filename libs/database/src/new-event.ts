import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { currentTraceId } from '@gigvault/telemetry/correlation';
import { column } from './columns.ts';

/** What a service tells of a change. `data` becomes canonical JSON and never holds a secret: it ends up in the audit log. */
export interface NewEvent {
  /** `<noun>.<past participle>`, as `certificate.issued`. */
  readonly type: string;
  /** Who did it: `user:<id>`, `service:<name>`, `acme:<accountId>`. */
  readonly actor: string;
  /** What it was done to. */
  readonly subject: string;
  readonly data: object;
  /** The trace to which it belongs. Default: that of the request in hand; see `ofThisRequest`. */
  readonly traceId?: string;
}

/** The event with the trace id of the request in hand: for one that waits for a transaction which it shares with other requests. */
export function ofThisRequest<E extends NewEvent>(event: E): E {
  return { ...event, traceId: currentTraceId() };
}

/** One parameter for each column of `outbox`: trace_id, type, actor, subject, data. */
export function eventColumns(events: readonly NewEvent[]): unknown[] {
  const inHand = currentTraceId();
  return [
    column.text(events.map(({ traceId }) => traceId ?? inHand)),
    column.text(events.map(({ type }) => type)),
    column.text(events.map(({ actor }) => actor)),
    column.text(events.map(({ subject }) => subject)),
    column.bytea(events.map(({ data }) => Buffer.from(canonicalJson(data)))),
  ];
}
