import { asGigvaultError, type GigvaultError } from '@gigvault/errors/gigvault-error';
import type { IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { createSingleFlight } from '@gigvault/time/single-flight';
import type { CertificateAuthority } from '../ports/certificate-authority.ts';
import type { IssuingStore, RequestStore } from '../ports/request-store.ts';
import type { StoredRequest } from './stored-request.ts';

/** Attempts after which a failure that nobody can explain is final. */
const MAX_UNEXPLAINED = 10;
const LONGEST_DELAY = 60_000;

/** What issuing needs. */
export interface IssueDeps {
  readonly requests: RequestStore;
  readonly issuing: IssuingStore;
  readonly ca: CertificateAuthority;
  readonly clock: Clock;
}

/** Issues approved requests; one at a time for each request within this process. */
export interface Issuer {
  /**
   * The request after the CA was asked: issued or failed. A request that is not approved comes back as it is.
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
  try {
    const certificate = await askCa(deps, request);
    await durableStep('ra.issued', () => deps.issuing.markIssued(requestId, certificate));
  } catch (caught) {
    await recordFailure(deps, request, asGigvaultError(caught));
  }
  return (await deps.requests.find(requestId)) ?? request;
}

function askCa({ ca }: IssueDeps, request: StoredRequest): Promise<IssuedCertificate> {
  const {
    requestId,
    issuerId,
    profile,
    profileHash,
    certificationRequest,
    commonName,
    notBefore,
    notAfter,
  } = request;
  const { requester, tenantId, protocol } = request;
  const subjectAltName = [...request.subjectAltName];
  const names = { subjectAltName, commonName };
  const origin = { requester, tenantId, protocol };
  return ca.issue({
    requestId,
    issuerId,
    profile,
    profileHash,
    certificationRequest,
    ...names,
    notBefore,
    notAfter,
    ...origin,
  });
}

/** Final failures end the request; for the others the error goes on to the caller, and the worker tries again. */
async function recordFailure(
  { issuing, clock }: IssueDeps,
  request: StoredRequest,
  error: GigvaultError,
): Promise<void> {
  if (isFinal(error, request.attempts)) {
    await durableStep('ra.failed', () => issuing.markFailed(request, error.code, error.message));
    return;
  }
  const delay = Math.min(1000 * 2 ** request.attempts, LONGEST_DELAY);
  await issuing.postpone(request.requestId, clock.now() + delay);
  throw error;
}

function isFinal(error: GigvaultError, attempts: number): boolean {
  if (error.code === 'INTERNAL') return attempts + 1 >= MAX_UNEXPLAINED;
  // A closed signing intent is the CA's to replace: the same request gets a new serial number.
  return !error.row.retry && error.code !== 'SIGNING_CLOSED';
}
