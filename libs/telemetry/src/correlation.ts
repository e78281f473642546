import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { isSpanContextValid, type SpanContext, TraceFlags, trace } from '@opentelemetry/api';

/** What ties the log lines, events and spans of one request together (docs/operations/tracing.md). */
export interface Correlation {
  /** W3C trace id, 32 hex digits. */
  readonly traceId: string;
  /** UUID of the request at the edge. */
  readonly requestId: string;
  /** Who is asking, as `user:<id>`; known once the request is authenticated. */
  actor?: string;
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
  return activeSpanContext()?.traceId ?? storage.getStore()?.traceId ?? '';
}

/** The active span, if it is one. */
export function activeSpanContext(): SpanContext | undefined {
  const active = trace.getActiveSpan()?.spanContext();
  return active !== undefined && isSpanContextValid(active) ? active : undefined;
}

/**
 * W3C Trace Context `traceparent` for an outgoing call: the active span's, else one of the request's trace with a fresh
 * span id; undefined outside of both.
 */
export function currentTraceparent(): string | undefined {
  const span = activeSpanContext();
  if (span) return `00-${span.traceId}-${span.spanId}-0${span.traceFlags & TraceFlags.SAMPLED}`;
  const correlation = storage.getStore();
  return correlation && `00-${correlation.traceId}-${randomSpanId()}-01`;
}

/** Half a UUID: Node keeps a stock of those, and randomBytes costs each call between services 30 µs where there are few. */
function randomSpanId(): string {
  return randomUUID().replaceAll('-', '').slice(0, 16);
}

/** The trace id of an incoming `traceparent`, or a new one when it is missing or malformed. */
export function traceIdOf(header: string | undefined): string {
  return parseTraceparent(header)?.traceId ?? randomUUID().replaceAll('-', '');
}

/** A `traceparent` read (W3C Trace Context §3.2): undefined for what the recommendation calls invalid. */
export function parseTraceparent(header: string | undefined): SpanContext | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(
    header ?? '',
  );
  const [, version, traceId, spanId, flags, more] = match ?? [];
  if (!traceId || !spanId || !flags || version === 'ff' || (version === '00' && more)) return;
  const parsed: SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
  };
  return isSpanContextValid(parsed) ? parsed : undefined;
}
