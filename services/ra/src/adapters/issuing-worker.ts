import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Issuer } from '../enrolment/issue-request.ts';
import { ISSUING_LEASE } from '../enrolment/submit-request.ts';
import type { IssuingStore } from '../ports/request-store.ts';

const INTERVAL = 1000;
const BATCH = 16;

/** What the worker needs. */
export interface IssuingWorkerOptions {
  readonly issuing: IssuingStore;
  readonly issuer: Issuer;
  readonly clock: Clock;
  /** Leases go by what it believes. */
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

/** Issues what was approved and left behind: the CA could not answer, or the process that had asked it died. */
export function issuingWorker(options: IssuingWorkerOptions): Worker {
  const { issuing, issuer, clock, clockGuard, log } = options;
  return periodic({
    name: 'ra.issuing',
    clock,
    interval: INTERVAL,
    async round() {
      const now = clockGuard.believed();
      const due = await issuing.claimApproved(BATCH, now, now + ISSUING_LEASE);
      const results = await Promise.allSettled(due.map((request) => issuer.issue(request)));
      for (const [index, result] of results.entries()) {
        if (result.status === 'rejected')
          log.warn({ requestId: due[index]?.requestId, error: result.reason }, 'still not issued');
      }
      return due.length === BATCH ? 0 : INTERVAL;
    },
    onError: (error) => log.error({ error }, 'approved requests cannot be read'),
  });
}
