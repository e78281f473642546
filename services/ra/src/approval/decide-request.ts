import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { DecideRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { Issuer } from '../enrolment/issue-request.ts';
import { readRequest } from '../enrolment/read-requests.ts';
import type { StoredRequest } from '../enrolment/stored-request.ts';
import { ISSUING_LEASE } from '../enrolment/submit-request.ts';
import type { ApprovalObserver } from '../ports/observer.ts';
import type { RequestStore } from '../ports/request-store.ts';
import type { ExpireReviewsDeps } from './expire-reviews.ts';

/** What deciding needs. */
export interface DecideDeps extends ExpireReviewsDeps {
  readonly requests: RequestStore;
  readonly issuer: Issuer;
  /** The worker's turn comes by what it believes. */
  readonly clockGuard: ClockGuard;
  readonly log: Log;
  readonly observer: ApprovalObserver;
}

/**
 * One person's vote on a request that waits for people (G18). The last approval that was needed has it issued before this
 * returns, unless the CA cannot answer now: then it comes back `approved`, and the worker goes on. It comes back `failed` when
 * the proof of a name has lapsed meanwhile.
 * Errors: REQUEST_NOT_FOUND, SELF_APPROVAL, REQUEST_NOT_PENDING, ALREADY_EXISTS for a second vote of the same person.
 */
export async function decideRequest(
  deps: DecideDeps,
  decision: DecideRequestRequest,
): Promise<StoredRequest> {
  const { requestId, actor, actorName, approve, comment } = decision;
  if (actor === '') throw new GigvaultError('INVALID_ARGUMENT', 'The actor is missing.');
  const { requester } = await readRequest(deps.requests, requestId);
  // The requester never changes, so this may be looked at before the vote; the vote itself is refused in SQL as well.
  if (requester === actor)
    throw new GigvaultError(
      'SELF_APPROVAL',
      'Nobody decides on their own request; ask somebody else.',
    );
  const at = deps.clock.now();
  const madeAfter = at - deps.pendingValidity;
  const dueAt = deps.clockGuard.believed() + ISSUING_LEASE;
  const vote = { requestId, actor, actorName, approve, comment, at, madeAfter, dueAt };
  const result = await durableStep('ra.vote', () => deps.votes.vote(vote));
  if (result === 'voted before')
    throw new GigvaultError('ALREADY_EXISTS', 'You have voted on this request before.');
  const request = await readRequest(deps.requests, requestId);
  if (result === 'not pending')
    throw new GigvaultError(
      'REQUEST_NOT_PENDING',
      request.status === 'pending'
        ? 'The time to decide on the request is over.'
        : `The request is ${request.status}, not pending.`,
    );
  if (result === 'decided') deps.observer.decided(at - request.createdAt);
  return issueNow(deps, request);
}

async function issueNow(
  { issuer, log }: DecideDeps,
  request: StoredRequest,
): Promise<StoredRequest> {
  try {
    return await issuer.issue(request);
  } catch (error) {
    // The vote stands whatever the CA says.
    log.warn(
      { requestId: request.requestId, error: asGigvaultError(error) },
      'approved, to be issued later',
    );
    return request;
  }
}
