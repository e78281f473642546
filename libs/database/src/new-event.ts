import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import { currentTraceId } from '@gigvault/telemetry/correlation';

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

/** One array for each column of `outbox`: trace_id, type, actor, subject, data. */
export function eventColumns(events: readonly NewEvent[]): unknown[] {
  const inHand = currentTraceId();
  return [
    events.map(({ traceId }) => traceId ?? inHand),
    events.map(({ type }) => type),
    events.map(({ actor }) => actor),
    events.map(({ subject }) => subject),
    events.map(({ data }) => Buffer.from(canonicalJson(data))),
  ];
}
