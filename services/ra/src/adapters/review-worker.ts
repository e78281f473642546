import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { periodic, type Worker } from '@gigvault/time/worker';
import { type ExpireReviewsDeps, expireReviews } from '../approval/expire-reviews.ts';

const INTERVAL = 60_000;

/** What the worker needs. */
export interface ReviewWorkerOptions extends ExpireReviewsDeps {
  readonly clock: Clock;
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

/** Ends the reviews that nobody decided in time. */
export function reviewWorker(options: ReviewWorkerOptions): Worker {
  const { clock, clockGuard, log } = options;
  return periodic({
    name: 'ra.reviews',
    clock,
    interval: INTERVAL,
    async round() {
      const ended = await expireReviews({ ...options, clock: clockGuard });
      if (ended === 0) return INTERVAL;
      log.info({ requests: ended }, 'reviews ended without a decision');
      return 0;
    },
    onError: (error) => log.error({ error }, 'reviews cannot be ended'),
  });
}
