import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import type { Profile } from '@gigvault/proto/ca/v1/issuer';
import type { SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import {
  type CertificationRequest,
  parseCertificationRequest,
} from '@gigvault/x509/certification-request';
import type { CertificateAuthority } from '../ports/certificate-authority.ts';
import type { Judgement, PolicyJudge } from '../ports/policy-judge.ts';
import { checkNames, type RequestedNames } from './check-names.ts';
import { type ProveDeps, proveNames } from './prove-names.ts';
import type { JudgedRequest, RequestStatus } from './stored-request.ts';

/** What judging needs. */
export interface JudgeDeps extends ProveDeps {
  readonly ca: CertificateAuthority;
  readonly policy: PolicyJudge;
  readonly development: boolean;
  /** The fewest people that approve a request which policy sends to review. */
  readonly approvals: number;
}

/** Errors: INVALID_ARGUMENT for a request without id or requester. */
export function checkOrigin({ requestId, requester }: SubmitRequestRequest): void {
  if (!isUuid(requestId))
    throw new GigvaultError('INVALID_ARGUMENT', 'requestId must be a UUID in lower case.');
  if (requester === '') throw new GigvaultError('INVALID_ARGUMENT', 'The requester is missing.');
}

/**
 * The request with the decision on it; nothing is kept. Requests of the protocol `acme` need a valid authorization of the
 * requester for each name; others are policy's to judge.
 * Errors: INVALID_ARGUMENT, BAD_CSR, BAD_PUBLIC_KEY, REJECTED_IDENTIFIER, UNKNOWN_PROFILE, PROFILE_CHANGED,
 * UNAUTHORIZED_IDENTIFIER.
 */
export async function judgeRequest(
  deps: JudgeDeps,
  request: SubmitRequestRequest,
): Promise<JudgedRequest> {
  // 1. What is asked for, by whom, with which key.
  const csr = parseCertificationRequest(request.certificationRequest);
  const profile = await pinProfile(deps, request);
  const names = checkNames(csr, request.subjectAltName, deps);
  checkKey(csr, profile);
  const validity = checkValidity(deps, request, profile);

  // 2. Control of every name.
  await proveNames(deps, { ...request, subjectAltName: names.subjectAltName });

  // 3. Policy.
  const judgement = await judge(deps, request, profile, names, csr, validity);
  return toJudged(deps, request, profile, names, judgement);
}

async function pinProfile({ ca }: JudgeDeps, request: SubmitRequestRequest): Promise<Profile> {
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
  { clock }: JudgeDeps,
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

function judge(
  { policy }: JudgeDeps,
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
  { clock, approvals }: JudgeDeps,
  request: SubmitRequestRequest,
  profile: Profile,
  { commonName, subjectAltName }: RequestedNames,
  { decision, approvalsNeeded }: Judgement,
): JudgedRequest {
  const {
    requestId,
    protocol,
    requester,
    requesterName,
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
    requesterName,
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
