import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { RaMetrics } from '../ra-metrics.ts';

const INTERVAL = 10_000;

/** What the worker needs. */
export interface BacklogOptions {
  readonly requests: { countPending(): Promise<number> };
  readonly validations: { countWaiting(): Promise<number> };
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<RaMetrics, 'pending' | 'validating'>;
}

/** Counts what waits for people and for validation: in the database, since other processes work on it as well. */
export function backlog({ requests, validations, clock, log, metrics }: BacklogOptions): Worker {
  return periodic({
    name: 'ra.backlog',
    clock,
    interval: INTERVAL,
    async round() {
      metrics.pending(await requests.countPending());
      metrics.validating(await validations.countWaiting());
    },
    onError: (error) => log.warn({ error }, 'what waits cannot be counted'),
  });
}
