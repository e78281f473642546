import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { currentTraceId } from './correlation.ts';
import { lostLines } from './line-writer.ts';
import { waitingByQueue } from './queue-depth.ts';

/** The metrics of one process. Names and rules: docs/operations/metrics.md. */
export interface Metrics {
  /** @param name without the prefix, ends in `_total`. */
  counter<L extends string>(name: string, help: string, labels: readonly L[]): Counter<L>;
  /** @param name without the prefix. */
  gauge<L extends string>(name: string, help: string, labels: readonly L[]): Gauge<L>;
  /** @param name without the prefix, ends in `_seconds`. */
  histogram<L extends string>(name: string, help: string, labels: readonly L[]): Timings<L>;
  /** Everything. @param contentType see expositionType; default: the Prometheus text format. */
  exposition(contentType?: string): Promise<string>;
}

/** A histogram of times. In the OpenMetrics format each bucket shows the trace of its newest observation, as an exemplar. */
export interface Timings<L extends string> {
  /** @param traceId of the request that took so long; default: the one in hand */
  observe(labels: Readonly<Record<L, string>>, seconds: number, traceId?: string): void;
  /** Starts to measure; the result observes the seconds since then. */
  startTimer(labels: Readonly<Record<L, string>>): () => void;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The content type for a scraper that sends this `Accept` header: OpenMetrics, or the Prometheus text format 0.0.4. */
export function expositionType(accept = ''): string {
  return /\bapplication\/openmetrics-text\b/.test(accept)
    ? Registry.OPENMETRICS_CONTENT_TYPE
    : Registry.PROMETHEUS_CONTENT_TYPE;
}

/** A registry in which asking twice for a name gives the same metric: services of one process share it. */
export function createMetrics(): Metrics {
  // Of the OpenMetrics kind: prom-client keeps exemplars in no other. It is never written out itself, see `render`.
  const registry = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  collectDefaultMetrics({ register: registry as never });
  const registers = [registry as never];
  function once<M>(name: string, make: (name: string) => M): M {
    const full = `gigvault_${name}`;
    return (registry.getSingleMetric(full) as M | undefined) ?? make(full);
  }
  const metrics: Metrics = {
    counter: (name, help, labels) =>
      once(name, (full) => new Counter({ name: full, help, labelNames: labels, registers })),
    gauge: (name, help, labels) =>
      once(name, (full) => new Gauge({ name: full, help, labelNames: labels, registers })),
    histogram: (name, help, labels) =>
      timings(
        once(name, (full) => {
          const buckets = { buckets: SECONDS, enableExemplars: true };
          return new Histogram({ name: full, help, labelNames: labels, ...buckets, registers });
        }),
      ),
    exposition(contentType = expositionType()) {
      for (const [queue, depth] of waitingByQueue()) queueDepth(metrics).set({ queue }, depth);
      const lost = metrics.counter(
        'log_lines_lost_total',
        'Log lines that could not be written.',
        [],
      );
      lost.reset();
      lost.inc(lostLines());
      return render(registry, contentType);
    },
  };
  return metrics;
}

function timings<L extends string>(histogram: Histogram<L>): Timings<L> {
  function observe(
    labels: Readonly<Record<L, string>>,
    value: number,
    traceId = currentTraceId(),
  ): void {
    const exemplarLabels = traceId === '' ? {} : { trace_id: traceId };
    histogram.observe({ labels: labels as never, value, exemplarLabels } as never);
  }
  return {
    observe,
    startTimer(labels) {
      const start = performance.now();
      return () => observe(labels, (performance.now() - start) / 1000);
    },
  };
}

/**
 * A scrape. prom-client renames the counters of a registry for ever when it writes OpenMetrics (they lose their `_total`), so each scrape
 * writes out a registry of its own, with views of the metrics.
 */
function render(
  registry: Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>,
  contentType: string,
): Promise<string> {
  const scrape = new Registry();
  scrape.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
  for (const metric of registry.getMetricsAsArray() as unknown as { name: string }[]) {
    const name = { value: metric.name, writable: true, enumerable: true };
    scrape.registerMetric(Object.create(metric, { name }));
  }
  return scrape.metrics();
}

/** Says once which build runs, as `gigvault_build_info{version,commit,node} 1`. */
export function recordBuild(metrics: Metrics, version: string, commit: string): void {
  metrics
    .gauge('build_info', 'Which build runs; always 1.', ['version', 'commit', 'node'])
    .set({ version, commit, node: process.version }, 1);
}

/** How much waits in a queue; the label is the queue's name, as `ra.validation`. Queues in memory tell of themselves: queue-depth.ts. */
export function queueDepth(metrics: Metrics): Gauge<'queue'> {
  return metrics.gauge('queue_depth', 'Items that wait, by queue.', ['queue']);
}
