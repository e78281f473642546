import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { VoteStore } from '../ports/request-store.ts';

/** What ending reviews needs. */
export interface ExpireReviewsDeps {
  readonly votes: VoteStore;
  /** A ClockGuard, where the clock may be set: a request fails once. */
  readonly clock: Pick<Clock, 'now'>;
  /** Milliseconds that people have to decide. */
  readonly pendingValidity: number;
}

const BATCH = 100;

/** Fails requests on which nobody decided in time. Returns how many; call again until 0. */
export function expireReviews({
  votes,
  clock,
  pendingValidity,
}: ExpireReviewsDeps): Promise<number> {
  return durableStep('ra.expired', () =>
    votes.expire(
      clock.now() - pendingValidity,
      BATCH,
      'REQUEST_NOT_PENDING',
      'Nobody decided on the request in time.',
    ),
  );
}
