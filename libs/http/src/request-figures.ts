import type { Metrics } from '@gigvault/telemetry/metrics';

/** One answered request. */
export interface AnsweredRequest {
  readonly method: string;
  /** The route's template, never the path. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  /** For the exemplar; empty: none. */
  readonly traceId: string;
}

/** Counts and times requests, whoever answers them. */
export function requestFigures(metrics: Metrics): (answered: AnsweredRequest) => void {
  const total = metrics.counter('http_requests_total', 'HTTP requests.', [
    'method',
    'route',
    'status',
  ] as const);
  const duration = metrics.histogram(
    'http_request_duration_seconds',
    'Time to answer an HTTP request.',
    ['method', 'route'] as const,
  );
  return ({ method, route, status, seconds, traceId }) => {
    total.inc({ method, route, status: String(status) });
    duration.observe({ method, route }, seconds, traceId);
  };
}
