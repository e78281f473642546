import { context, DiagLogLevel, diag, trace } from '@opentelemetry/api';
import type { Log } from './log.ts';

/** Where spans go. */
export interface TracingOptions {
  /** `service.name` of the spans. */
  readonly service: string;
  readonly version: string;
  /** Base URL of an OTLP/HTTP collector, as `http://127.0.0.1:4318`. Absent: no tracing. */
  readonly endpoint?: string | undefined;
  /** Learns when spans cannot be delivered. */
  readonly log: Log;
}

/** A process's tracing. */
export interface Tracing {
  /** Sends what is left, for at most five seconds. */
  stop(): Promise<void>;
}

let tracing = false;

/** Whether spans of this process go anywhere. */
export function isTracing(): boolean {
  return tracing;
}

const EXPORT_LIMIT = 5_000;

/**
 * Starts sending spans to `endpoint` (docs/operations/tracing.md); once per process, before the first request. The SDK
 * is loaded only when there is an endpoint. Spans that cannot be delivered are dropped: no request waits for them.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { endpoint, log } = options;
  if (endpoint === undefined) return { stop: async () => undefined };
  const [sdk, { OTLPTraceExporter }, { resourceFromAttributes }, { asyncContextManager }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
      import('./async-context.ts'),
    ]);
  const complain = (message: string) =>
    log.warn({ operation: 'tracing', reason: message.slice(0, 500) }, 'spans were not delivered');
  const ignore = () => undefined;
  diag.setLogger(
    { error: complain, warn: complain, info: ignore, debug: ignore, verbose: ignore },
    DiagLogLevel.WARN,
  );
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.service,
      'service.namespace': 'gigvault',
      'service.version': options.version,
    }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
          timeoutMillis: EXPORT_LIMIT,
        }),
        exportTimeoutMillis: EXPORT_LIMIT,
      }),
    ],
  });
  tracing = true;
  context.setGlobalContextManager(asyncContextManager());
  trace.setGlobalTracerProvider(provider);
  return { stop: () => provider.shutdown().catch(() => undefined) };
}
