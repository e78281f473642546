import { type Metrics, queueDepth } from '@gigvault/telemetry/metrics';
import type { ApprovalObserver } from './ports/observer.ts';

/** What waits for people, and how long; docs/operations/metrics.md. */
export interface RaMetrics extends ApprovalObserver {
  pending(requests: number): void;
  /** Challenges that wait for validation, or are at it. */
  validating(challenges: number): void;
}

/** The RA's metrics in this registry. */
export function createRaMetrics(metrics: Metrics): RaMetrics {
  const pending = metrics.gauge('approvals_pending', 'Requests that wait for people.', []);
  const wait = metrics.histogram(
    'approval_wait_seconds',
    'From the submission of a request to the decision of people.',
    [],
  );
  return {
    validating: (challenges) => queueDepth(metrics).set({ queue: 'ra.validation' }, challenges),
    pending: (requests) => pending.set(requests),
    decided: (waited) => wait.observe({}, waited / 1_000),
  };
}
