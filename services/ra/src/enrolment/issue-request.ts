import type { ErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, type GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { createSingleFlight } from '@gigvault/time/single-flight';
import type { CertificateAuthority } from '../ports/certificate-authority.ts';
import {
  type IssuingStore,
  LONGEST_DELAY,
  type RequestStore,
  SHORTEST_DELAY,
} from '../ports/request-store.ts';
import { type ProveDeps, proveNames } from './prove-names.ts';
import { issuanceOf, type StoredRequest } from './stored-request.ts';

/** Failures that say nothing of the request: a mistake in the CA or on the way to it. */
const UNEXPLAINED: readonly ErrorCode[] = [
  'FORBIDDEN',
  'INTERNAL',
  // Of the CA's own key: somebody may restore it.
  'KEY_LOST',
  'METHOD_NOT_ALLOWED',
  'UNAUTHENTICATED',
];
/** Milliseconds since the CA was first asked, after which they are final. */
const UNEXPLAINED_FOR = 3_600_000;

/** What issuing needs. */
export interface IssueDeps extends ProveDeps {
  readonly requests: RequestStore;
  readonly issuing: IssuingStore;
  readonly ca: CertificateAuthority;
  /** Pauses, and how long the CA has been asked, go by what it believes: a clock that is set must not put a request off, or end it. */
  readonly clockGuard: ClockGuard;
}

/** Issues approved requests; one at a time for each request within this process. */
export interface Issuer {
  /**
   * The request after the CA was asked: issued or failed, the latter also when a name's proof has lapsed before the CA was
   * first asked. A request that is not approved comes back as it is.
   * Errors: UNAVAILABLE and its like when the CA cannot answer now; the request stays approved and the worker goes on.
   */
  issue(request: StoredRequest): Promise<StoredRequest>;
}

/** An Issuer in which callers that come while a request is being issued wait for the same result (T1). */
export function createIssuer(deps: IssueDeps): Issuer {
  const flights = createSingleFlight<StoredRequest>();
  return {
    issue: (request) =>
      request.status === 'approved'
        ? flights.join(request.requestId, () => issueRequest(deps, request))
        : Promise.resolve(request),
  };
}

async function issueRequest(deps: IssueDeps, request: StoredRequest): Promise<StoredRequest> {
  const { requestId } = request;
  let asked: StoredRequest | undefined = request;
  try {
    if (request.askedAt === 0) asked = await firstAsk(deps, request);
    if (asked) {
      const certificate = await deps.ca.issue(issuanceOf(request));
      const issued = await durableStep('ra.issued', () =>
        deps.issuing.markIssued(requestId, certificate),
      );
      if (issued) return { ...request, ...certificate, status: 'issued' };
    }
  } catch (caught) {
    await recordFailure(deps, asked ?? request, asGigvaultError(caught));
  }
  return (await deps.requests.find(requestId)) ?? request;
}

/**
 * Proofs may have lapsed while people decided. Once the CA was asked it may have issued, and a refusal would leave the
 * certificate to nobody: so they are checked before that, and that is written down. Undefined when it is not approved any more.
 */
async function firstAsk(
  deps: IssueDeps,
  request: StoredRequest,
): Promise<StoredRequest | undefined> {
  await proveNames(deps, request);
  const askedAt = await durableStep('ra.asked', () =>
    deps.issuing.markAsked(request.requestId, deps.clockGuard.believed()),
  );
  return askedAt === undefined ? undefined : { ...request, askedAt };
}

/** Final failures end the request; for the others the error goes on to the caller, and the worker tries again. */
async function recordFailure(
  { issuing, clockGuard }: IssueDeps,
  request: StoredRequest,
  error: GigvaultError,
): Promise<void> {
  const now = clockGuard.believed();
  if (isFinal(error, request, now)) {
    await durableStep('ra.failed', () => issuing.markFailed(request, error.code, error.message));
    return;
  }
  const delay = Math.min(SHORTEST_DELAY * 2 ** request.attempts, LONGEST_DELAY);
  await issuing.postpone(request.requestId, now + delay);
  throw error;
}

/** Callers ask as often as they like, so the attempts say nothing of how long it has been going wrong. */
function isFinal(error: GigvaultError, { askedAt }: StoredRequest, now: number): boolean {
  if (UNEXPLAINED.includes(error.code)) return askedAt !== 0 && now - askedAt >= UNEXPLAINED_FOR;
  // A closed signing intent is the CA's to replace: the same request gets a new serial number.
  return !error.row.retry && error.code !== 'SIGNING_CLOSED';
}
