import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process. Names and rules: docs/operations/metrics.md. */
export interface Metrics {
  /** @param name without the prefix, ends in `_total`. */
  counter<L extends string>(name: string, help: string, labels: readonly L[]): Counter<L>;
  /** @param name without the prefix. */
  gauge<L extends string>(name: string, help: string, labels: readonly L[]): Gauge<L>;
  /** @param name without the prefix, ends in `_seconds`. */
  histogram<L extends string>(name: string, help: string, labels: readonly L[]): Histogram<L>;
  /** Everything, in the Prometheus text format 0.0.4. */
  exposition(): Promise<string>;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A registry in which asking twice for a name gives the same metric: services of one process share it. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  function once<M>(name: string, make: (name: string) => M): M {
    const full = `gigvault_${name}`;
    return (registry.getSingleMetric(full) as M | undefined) ?? make(full);
  }
  return {
    counter: (name, help, labels) =>
      once(
        name,
        (full) => new Counter({ name: full, help, labelNames: labels, registers: [registry] }),
      ),
    gauge: (name, help, labels) =>
      once(
        name,
        (full) => new Gauge({ name: full, help, labelNames: labels, registers: [registry] }),
      ),
    histogram: (name, help, labels) =>
      once(
        name,
        (full) =>
          new Histogram({
            name: full,
            help,
            labelNames: labels,
            buckets: SECONDS,
            registers: [registry],
          }),
      ),
    exposition: () => registry.metrics(),
  };
}

/** Says once which build runs, as `gigvault_build_info{version,commit,node} 1`. */
export function recordBuild(metrics: Metrics, version: string, commit: string): void {
  metrics
    .gauge('build_info', 'Which build runs; always 1.', ['version', 'commit', 'node'])
    .set({ version, commit, node: process.version }, 1);
}
