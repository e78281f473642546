import { randomBytes, randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Authorization } from '@gigvault/proto/ra/v1/authorization';
import type { EnrolmentRequest, SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import type { Authorizations, Enrolment } from '../src/ports/registration-authority.ts';
import type { MemoryCertificateAuthority } from './memory-certificate-authority.ts';

/** What becomes of the next submissions. */
export type Verdict =
  | 'issue'
  | 'review'
  | 'deny'
  | 'reject'
  | 'unavailable'
  | 'forbidden'
  | 'signing-closed'
  | 'profile-changed';

/** An RA in memory: validation succeeds as soon as a client says that it is ready, unless told otherwise. */
export interface MemoryRegistrationAuthority extends Authorizations, Enrolment {
  verdict: Verdict;
  validationSucceeds: boolean;
  /** What checking a request fails with. */
  refusal: GigvaultError | undefined;
  /** Runs before each submission is answered. */
  beforeAnswer: () => Promise<void>;
  /** Every submission, in order. */
  readonly submissions: SubmitRequestRequest[];
  /** What respond() was given last. */
  keyAuthorization: string;
}

const LIFETIME = 30 * 86_400_000;

/** An RA in front of `ca`. */
export function memoryRegistrationAuthority(
  ca: MemoryCertificateAuthority,
  now: () => number,
): MemoryRegistrationAuthority {
  const authorizations = new Map<string, Authorization>();
  const issued = new Map<string, EnrolmentRequest>();

  function find(id: string): Authorization {
    const found = authorizations.get(id);
    if (!found)
      throw new GigvaultError('AUTHORIZATION_NOT_FOUND', 'There is no such authorization.');
    return found;
  }

  function put(authorization: Authorization): Authorization {
    authorizations.set(authorization.authorizationId, authorization);
    return authorization;
  }

  function settle(authorization: Authorization): Authorization {
    const status = ra.validationSucceeds ? 'valid' : 'invalid';
    const error = ra.validationSucceeds
      ? ''
      : '{"type":"urn:ietf:params:acme:error:connection","detail":"refused"}';
    const challenges = authorization.challenges.map((challenge) => ({
      ...challenge,
      status,
      error,
      validatedAt: now(),
    }));
    return put({ ...authorization, status, challenges });
  }

  const ra: MemoryRegistrationAuthority = {
    verdict: 'issue',
    validationSucceeds: true,
    refusal: undefined,
    beforeAnswer: async () => undefined,
    submissions: [],
    keyAuthorization: '',
    create: async (requester, identifiers) =>
      identifiers.map((identifier) => {
        const reusable = [...authorizations.values()].find(
          (other) =>
            other.status === 'valid' &&
            other.requester === requester &&
            other.identifier?.value === identifier.value,
        );
        return reusable ?? put(newAuthorization(requester, identifier, now()));
      }),
    get: async (ids) => ids.map(find),
    async respond({ authorizationId, requester, keyAuthorization }) {
      const authorization = find(authorizationId);
      if (authorization.requester !== requester) throw new GigvaultError('FORBIDDEN', 'Not yours.');
      ra.keyAuthorization = keyAuthorization;
      return settle(authorization);
    },
    deactivate: async (_requester, id) => put({ ...find(id), status: 'deactivated' }),
    async check() {
      if (ra.refusal) throw ra.refusal;
    },
    async submit(request) {
      ra.submissions.push(request);
      await ra.beforeAnswer();
      const answer = issued.get(request.requestId) ?? answerTo(ca, ra.verdict, request, now());
      if (answer.status === 'issued') issued.set(request.requestId, answer);
      return answer;
    },
  };
  return ra;
}

function newAuthorization(
  requester: string,
  identifier: { type: string; value: string },
  now: number,
): Authorization {
  return {
    authorizationId: randomUUID(),
    requester,
    identifier: { ...identifier },
    status: 'pending',
    expiresAt: now + LIFETIME,
    challenges: [
      {
        challengeId: randomUUID(),
        type: 'http-01',
        token: randomBytes(32).toString('base64url'),
        status: 'pending',
        validatedAt: 0,
        error: '',
      },
    ],
  };
}

function answerTo(
  ca: MemoryCertificateAuthority,
  verdict: Verdict,
  request: SubmitRequestRequest,
  now: number,
): EnrolmentRequest {
  if (verdict === 'unavailable')
    throw new GigvaultError('KEY_UNAVAILABLE', 'The key cannot be used now.');
  if (verdict === 'forbidden') throw new GigvaultError('FORBIDDEN', 'enroll may not call this.');
  if (verdict === 'signing-closed')
    throw new GigvaultError('SIGNING_CLOSED', 'The intent is closed.');
  if (verdict === 'profile-changed')
    throw new GigvaultError('PROFILE_CHANGED', 'The profile changed.');
  const base = { ...emptyAnswer(request), createdAt: now };
  if (verdict === 'review') return { ...base, status: 'pending' };
  if (verdict === 'reject') return { ...base, status: 'rejected' };
  if (verdict === 'deny') {
    const rules = [{ rule: 'names.denied', outcome: 'deny', message: 'a.example is not allowed' }];
    return {
      ...base,
      status: 'denied',
      decision: { outcome: 'deny', rules, policy: 'test', policyHash: '' },
    };
  }
  const { serialNumber, issuerId, certificate } = ca.issue({ ...request, now });
  return {
    ...base,
    status: 'issued',
    serialNumber,
    issuerId,
    certificate,
    chain: [ca.issuer, ca.root],
  };
}

function emptyAnswer({
  requestId,
  protocol,
  requester,
  profile,
  certificationRequest,
}: SubmitRequestRequest): EnrolmentRequest {
  return {
    requestId,
    protocol,
    requester,
    profile,
    certificationRequest,
    status: 'pending',
    commonName: '',
    names: [],
    serialNumber: '',
    issuerId: '',
    certificate: Buffer.alloc(0),
    chain: [],
    decision: undefined,
    approvalsNeeded: 0,
    votes: [],
    createdAt: 0,
    reason: '',
    errorCode: '',
    errorMessage: '',
  };
}
