import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { trace } from '@opentelemetry/api';

/** What ties the log lines, events and spans of one request together. */
export interface Correlation {
  /** W3C trace id, 32 hex digits. */
  readonly traceId: string;
  /** UUID of the request at the edge. */
  readonly requestId: string;
}

const storage = new AsyncLocalStorage<Correlation>();

/** Runs `run` with this correlation; everything it awaits sees it. */
export function withCorrelation<T>(correlation: Correlation, run: () => T): T {
  return storage.run(correlation, run);
}

/** The correlation of the request in hand, if any. */
export function currentCorrelation(): Correlation | undefined {
  return storage.getStore();
}

/** The active span's trace id, else the request's, else ''. */
export function currentTraceId(): string {
  return trace.getActiveSpan()?.spanContext().traceId ?? storage.getStore()?.traceId ?? '';
}

/** W3C Trace Context `traceparent` for an outgoing call; the span id is fresh. */
export function traceparent(traceId: string): string {
  return `00-${traceId}-${randomBytes(8).toString('hex')}-01`;
}

/** The trace id of an incoming `traceparent`, or a new one when it is missing or malformed. */
export function traceIdOf(header: string | undefined): string {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(header ?? '');
  return match?.[1] ?? randomBytes(16).toString('hex');
}
