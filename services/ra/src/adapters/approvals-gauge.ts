import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { RequestStore } from '../ports/request-store.ts';

const INTERVAL = 10_000;

/** What the worker needs. */
export interface ApprovalsGaugeOptions {
  readonly requests: RequestStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Takes the number of requests that wait for people. */
  tell(pending: number): void;
}

/** Counts what waits for people: in the database, since another process may have decided. */
export function approvalsGauge({ requests, clock, log, tell }: ApprovalsGaugeOptions): Worker {
  return periodic({
    name: 'ra.approvals',
    clock,
    interval: INTERVAL,
    async round() {
      tell(await requests.countPending());
    },
    onError: (error) => log.warn({ error }, 'requests that wait for people cannot be counted'),
  });
}
