import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { LONGEST_DELAY, type RequestStore } from '../ports/request-store.ts';
import type { Issuer } from './issue-request.ts';
import { checkOrigin, type JudgeDeps, judgeRequest } from './judge-request.ts';
import { newlyStored, type StoredRequest } from './stored-request.ts';

/** How long the caller has to issue an approved request itself before the worker takes it up, in milliseconds. */
export const ISSUING_LEASE = 15_000;

/** Failures of the CA after which a repetition asks it no sooner than the worker: a short outage delays nobody. */
const FREE_ATTEMPTS = 4;

/** What submitting needs. */
export interface SubmitDeps extends JudgeDeps {
  readonly requests: RequestStore;
  readonly issuer: Issuer;
  /** The worker's turn comes by what it believes. */
  readonly clockGuard: ClockGuard;
}

/**
 * From certification request to certificate, decision or wait. Idempotent on the request's id: a repetition goes on where the
 * first one stands.
 * Errors: those of judgeRequest; ALREADY_EXISTS when the id belongs to another request; UNAVAILABLE and its like of the CA, and while it is left alone after several
 * of them.
 */
export async function submitRequest(
  deps: SubmitDeps,
  request: SubmitRequestRequest,
): Promise<StoredRequest> {
  checkOrigin(request);
  const known = await deps.requests.find(request.requestId);
  if (known) return issueAgain(deps, mustBeSame(known, request));
  const judged = await judgeRequest(deps, request);
  // The request and its decision are durable before anybody acts on them.
  const now = deps.clockGuard.believed();
  const first = await durableStep('ra.request', () =>
    deps.requests.create(judged, { askedAt: now, dueAt: now + ISSUING_LEASE }),
  );
  if (first) return deps.issuer.issue(newlyStored(judged, now));
  // Somebody else stored it: from here on all callers of this id see the same request.
  const stored = await deps.requests.find(request.requestId);
  if (!stored) throw new GigvaultError('INTERNAL', 'The request was stored and is not there.');
  return issueAgain(deps, mustBeSame(stored, request));
}

/** Each attempt costs a serial number and a signature: a client that asks twice a second of a key that signs wrong would use up thousands. */
async function issueAgain(
  { issuer, clockGuard }: SubmitDeps,
  request: StoredRequest,
): Promise<StoredRequest> {
  const wait = request.dueAt - clockGuard.believed();
  const failsOnAndOn = request.status === 'approved' && request.attempts >= FREE_ATTEMPTS;
  // What is not due for longer was put off by a clock that was ahead.
  if (!failsOnAndOn || wait <= 0 || wait > LONGEST_DELAY) return issuer.issue(request);
  throw new GigvaultError(
    'UNAVAILABLE',
    `The CA has failed to issue this ${request.attempts} times. It is asked again by itself.`,
    { retryAfter: Math.ceil(wait / 1000) },
  );
}

function mustBeSame(stored: StoredRequest, request: SubmitRequestRequest): StoredRequest {
  const same =
    stored.requester === request.requester &&
    stored.protocol === request.protocol &&
    stored.profile === request.profile &&
    stored.certificationRequest.equals(request.certificationRequest);
  if (!same)
    throw new GigvaultError('ALREADY_EXISTS', 'This request id belongs to another request.');
  return stored;
}
