import type { Log } from '@gigvault/telemetry/log';
import { periodic, type Worker } from '@gigvault/time/worker';
import { type ExpireReviewsDeps, expireReviews } from '../approval/expire-reviews.ts';

const INTERVAL = 60_000;

/** What the worker needs. */
export interface ReviewWorkerOptions extends ExpireReviewsDeps {
  readonly log: Log;
}

/** Ends the reviews that nobody decided in time. */
export function reviewWorker(options: ReviewWorkerOptions): Worker {
  const { clock, log } = options;
  return periodic({
    name: 'ra.reviews',
    clock,
    interval: INTERVAL,
    async round() {
      const ended = await expireReviews(options);
      if (ended === 0) return INTERVAL;
      log.info({ requests: ended }, 'reviews ended without a decision');
      return 0;
    },
    onError: (error) => log.error({ error }, 'reviews cannot be ended'),
  });
}
