import {
  type Attributes,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { parseTraceparent } from './correlation.ts';

const tracer = trace.getTracer('gigvault');

/** A span that began and has not ended. Without tracing it costs next to nothing and records nothing. */
export interface OpenSpan {
  /** Of the trace that the span belongs to; undefined without tracing and without a parent. */
  readonly traceId: string | undefined;
  /** Runs `run` inside the span: spans and calls that it begins are the span's children. */
  run<T>(run: () => T): T;
  /** Ends the span; with an error it is marked as failed. Messages stay out: they may hold what a trace must not. */
  end(attributes?: Attributes, error?: unknown): void;
}

/** Where a span hangs. */
export interface SpanParent {
  /** `server` answers somebody; `internal` is a step of ours. */
  readonly kind: 'server' | 'internal';
  /** A caller's `traceparent`; absent or malformed, the active span is the parent. */
  readonly traceparent?: string | undefined;
}

/** Begins a span. Names are templates (`GET /crl/:issuerId`), never values: what they hold would be a new name each. */
export function openSpan(name: string, parent: SpanParent): OpenSpan {
  const remote = parseTraceparent(parent.traceparent);
  const around = remote ? trace.setSpanContext(ROOT_CONTEXT, remote) : context.active();
  const kind = parent.kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL;
  const span = tracer.startSpan(name, { kind }, around);
  const spanContext = span.spanContext();
  return {
    traceId: isSpanContextValid(spanContext) ? spanContext.traceId : undefined,
    run: (run) => context.with(trace.setSpan(around, span), run),
    end(attributes = {}, error) {
      span.setAttributes(attributes);
      if (error !== undefined)
        span.setStatus({ code: SpanStatusCode.ERROR, message: kindOfError(error) });
      span.end();
    },
  };
}

/** Runs `run` as a span, a child of the active one. */
export async function inSpan<T>(name: string, run: () => Promise<T>): Promise<T> {
  const span = openSpan(name, { kind: 'internal' });
  try {
    const result = await span.run(run);
    span.end();
    return result;
  } catch (error) {
    span.end({}, error);
    throw error;
  }
}

function kindOfError(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'Error';
}
