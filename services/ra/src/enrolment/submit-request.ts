import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Profile } from '@gigvault/proto/ca/v1/issuer';
import type { SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import {
  type CertificationRequest,
  parseCertificationRequest,
} from '@gigvault/x509/certification-request';
import type { ProofSource } from '../ports/authorization-store.ts';
import type { CertificateAuthority } from '../ports/certificate-authority.ts';
import type { Judgement, PolicyJudge } from '../ports/policy-judge.ts';
import type { RequestStore } from '../ports/request-store.ts';
import { checkNames, type RequestedNames } from './check-names.ts';
import { checkProofs } from './check-proofs.ts';
import type { Issuer } from './issue-request.ts';
import type { JudgedRequest, RequestStatus, StoredRequest } from './stored-request.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** How long the caller has to issue an approved request itself before the worker takes it up, in milliseconds. */
export const ISSUING_LEASE = 15_000;

/** What submitting needs. */
export interface SubmitDeps {
  readonly requests: RequestStore;
  readonly proofs: ProofSource;
  readonly ca: CertificateAuthority;
  readonly policy: PolicyJudge;
  readonly issuer: Issuer;
  readonly clock: Clock;
  readonly development: boolean;
  /** The fewest people that approve a request which policy sends to review. */
  readonly approvals: number;
}

/**
 * From certification request to certificate, decision or wait. Idempotent on the request's id: a repetition goes on where the
 * first one stands. Requests of the protocol `acme` need a valid authorization of the requester for each name; others are
 * policy's to judge.
 * Errors: INVALID_ARGUMENT, BAD_CSR, BAD_PUBLIC_KEY, REJECTED_IDENTIFIER, UNKNOWN_PROFILE, PROFILE_CHANGED,
 * UNAUTHORIZED_IDENTIFIER; ALREADY_EXISTS when the id belongs to another request; UNAVAILABLE and its like of the CA.
 */
export async function submitRequest(
  deps: SubmitDeps,
  request: SubmitRequestRequest,
): Promise<StoredRequest> {
  if (!UUID.test(request.requestId))
    throw new GigvaultError('INVALID_ARGUMENT', 'requestId must be a UUID in lower case.');
  if (request.requester === '')
    throw new GigvaultError('INVALID_ARGUMENT', 'The requester is missing.');
  const known = await deps.requests.find(request.requestId);
  if (known) return deps.issuer.issue(mustBeSame(known, request));

  // 1. What is asked for, by whom, with which key.
  const csr = parseCertificationRequest(request.certificationRequest);
  const profile = await pinProfile(deps, request);
  const names = checkNames(csr, request.subjectAltName, {
    development: deps.development,
    freeCommonName: profile.name === 'tls-client',
  });
  checkKey(csr, profile);
  const validity = checkValidity(deps, request, profile);

  // 2. Control of every name.
  if (request.protocol === 'acme') await proveNames(deps, request, names);

  // 3. Policy.
  const judgement = await judge(deps, request, profile, names, csr, validity);

  // 4. The request and its decision are durable before anybody acts on them.
  const judged = toJudged(deps, request, profile, names, judgement);
  await durableStep('ra.request', () =>
    deps.requests.create(judged, judged.createdAt + ISSUING_LEASE),
  );

  // 5. Whoever stored it first: from here on all callers of this id see the same request.
  const stored = await deps.requests.find(request.requestId);
  if (!stored) throw new GigvaultError('INTERNAL', 'The request was stored and is not there.');
  return deps.issuer.issue(mustBeSame(stored, request));
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

async function pinProfile({ ca }: SubmitDeps, request: SubmitRequestRequest): Promise<Profile> {
  const profile = await ca.profile(request.profile, request.profileHash);
  if (!profile?.public) {
    throw new GigvaultError(
      'UNKNOWN_PROFILE',
      `There is no profile ${JSON.stringify(request.profile.slice(0, 64))} to enrol for.`,
    );
  }
  if (request.profileHash !== '' && request.profileHash !== profile.profileHash) {
    throw new GigvaultError(
      'PROFILE_CHANGED',
      `Profile "${profile.name}" has changed since the order was made.`,
    );
  }
  return profile;
}

function checkKey({ publicKey }: CertificationRequest, profile: Profile): void {
  if (profile.keyTypes.includes(publicKey.keyType)) return;
  const message = `Profile "${profile.name}" accepts ${profile.keyTypes.join(', ')}, not ${publicKey.keyType}.`;
  throw new GigvaultError('BAD_PUBLIC_KEY', message);
}

/** Milliseconds for which the certificate would be valid. */
function checkValidity(
  { clock }: SubmitDeps,
  { notBefore, notAfter }: SubmitRequestRequest,
  profile: Profile,
): number {
  if (notAfter === 0) return profile.defaultValidity;
  const validity = notAfter - (notBefore || clock.now());
  if (validity > 0) return validity;
  throw new GigvaultError('INVALID_ARGUMENT', 'The certificate would end before it begins.', {
    problems: [{ pointer: '/notAfter', message: 'must be later than notBefore and now' }],
  });
}

async function proveNames(
  { proofs, clock }: SubmitDeps,
  request: SubmitRequestRequest,
  { subjectAltName }: RequestedNames,
): Promise<void> {
  const ids = [...new Set(request.authorizationIds)].filter((id) => UUID.test(id));
  checkProofs(subjectAltName, await proofs.proofs(ids, request.requester, clock.now()));
}

function judge(
  { policy }: SubmitDeps,
  { protocol, requester, roles, tenantId }: SubmitRequestRequest,
  { name: profile, keyUsages }: Profile,
  { commonName, subjectAltName }: RequestedNames,
  { publicKey: { keyType } }: CertificationRequest,
  validity: number,
): Promise<Judgement> {
  return policy.judge({
    protocol,
    requester,
    roles,
    profile,
    commonName,
    subjectAltName,
    keyType,
    keyUsages,
    validity,
    tenantId,
  });
}

function toJudged(
  { clock, approvals }: SubmitDeps,
  request: SubmitRequestRequest,
  profile: Profile,
  { commonName, subjectAltName }: RequestedNames,
  { decision, approvalsNeeded }: Judgement,
): JudgedRequest {
  const {
    requestId,
    protocol,
    requester,
    certificationRequest,
    authorizationIds,
    notBefore,
    notAfter,
    reason,
  } = request;
  const status = STATUS_OF_OUTCOME[decision.outcome] ?? 'denied';
  return {
    requestId,
    tenantId: request.tenantId || 'default',
    protocol,
    requester,
    profile: profile.name,
    profileHash: profile.profileHash,
    issuerId: profile.issuerId,
    status,
    commonName,
    subjectAltName,
    certificationRequest,
    authorizationIds,
    notBefore,
    notAfter,
    reason,
    decision,
    approvalsNeeded: status === 'pending' ? Math.max(approvalsNeeded, approvals, 1) : 0,
    createdAt: clock.now(),
  };
}

const STATUS_OF_OUTCOME: Readonly<Record<string, RequestStatus>> = {
  allow: 'approved',
  review: 'pending',
  deny: 'denied',
};
