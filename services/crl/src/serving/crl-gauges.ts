import type { Metrics } from '@gigvault/telemetry/metrics';
import type { ServedCrl, ServedCrls } from './served-crls.ts';

/** The gauges of what is served, one value a CA over its shards. */
export function createCrlGauges(metrics: Metrics): { set(served: ServedCrls): void } {
  const labels = ['ca'] as const;
  const nextUpdate = metrics.gauge(
    'crl_next_update_timestamp_seconds',
    'Unix time of the earliest nextUpdate among the CRLs of a CA.',
    labels,
  );
  const entries = metrics.gauge('crl_entries', 'Entries in the CRLs of a CA.', labels);
  const size = metrics.gauge('crl_size_bytes', 'Octets of the CRLs of a CA.', labels);
  return {
    set(served) {
      for (const [ca, crls] of byIssuer(served.overview().all)) {
        nextUpdate.set({ ca }, Math.min(...crls.map((crl) => crl.nextUpdate)) / 1000);
        entries.set({ ca }, sum(crls.map((crl) => crl.entryCount)));
        size.set({ ca }, sum(crls.map((crl) => crl.octets)));
      }
    },
  };
}

function byIssuer(crls: readonly ServedCrl[]): ReadonlyMap<string, ServedCrl[]> {
  return Map.groupBy(crls, (crl) => crl.issuerId);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
