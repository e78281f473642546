import type { GeneralName, IssueCertificateRequest } from '@gigvault/proto/ca/v1/issuance';
import type { Decision, EnrolmentRequest, Vote } from '@gigvault/proto/ra/v1/enrolment';

/**
 * States of a request. pending → approved | rejected (people) | failed (nobody decided); approved → issued | failed (the CA); denied (policy) is final
 * from the start, as are issued, rejected and failed.
 */
export type RequestStatus = 'pending' | 'approved' | 'issued' | 'rejected' | 'denied' | 'failed';

/** A request as it is first stored: judged. */
export interface JudgedRequest {
  readonly requestId: string;
  readonly tenantId: string;
  /** As `acme`, `rest`. */
  readonly protocol: string;
  readonly requester: string;
  /** What the requester was called then; undefined for who has no name. */
  readonly requesterName: string | undefined;
  readonly profile: string;
  /** Pinned: the CA refuses when the profile is another one by now. */
  readonly profileHash: string;
  readonly issuerId: string;
  readonly status: RequestStatus;
  /** Empty: none. */
  readonly commonName: string;
  readonly subjectAltName: readonly GeneralName[];
  /** PKCS#10, DER. */
  readonly certificationRequest: Buffer;
  readonly authorizationIds: readonly string[];
  /** Unix milliseconds; 0 lets the profile decide. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly reason: string;
  readonly decision: Decision;
  readonly approvalsNeeded: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** A request with what has become of it. */
export interface StoredRequest extends JudgedRequest {
  /** Times that the CA was asked and could not answer. */
  readonly attempts: number;
  /** When the CA was first asked, or may have been, Unix milliseconds; 0 while it certainly was not. */
  readonly askedAt: number;
  /** While approved: when the CA is asked next if nobody does before, Unix milliseconds. */
  readonly dueAt: number;
  readonly votes: readonly Vote[];
  readonly serialNumber: string;
  readonly certificate: Buffer;
  readonly chain: readonly Buffer[];
  readonly errorCode: string;
  readonly errorMessage: string;
}

/** A judged request as it is when it has just been stored. @param now by what the clock guard believes */
export function newlyStored(judged: JudgedRequest, now: number): StoredRequest {
  return {
    ...judged,
    attempts: 0,
    // Whoever stores an approved request asks the CA next.
    askedAt: judged.status === 'approved' ? now : 0,
    dueAt: now,
    votes: [],
    serialNumber: '',
    certificate: Buffer.alloc(0),
    chain: [],
    errorCode: '',
    errorMessage: '',
  };
}

/** What the CA is asked for, under the request's own id. */
export function issuanceOf(request: JudgedRequest): IssueCertificateRequest {
  return {
    requestId: request.requestId,
    issuerId: request.issuerId,
    profile: request.profile,
    profileHash: request.profileHash,
    certificationRequest: request.certificationRequest,
    subjectAltName: [...request.subjectAltName],
    commonName: request.commonName,
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    requester: request.requester,
    tenantId: request.tenantId,
    protocol: request.protocol,
  };
}

/** The request as other services see it. */
export function toEnrolmentRequest(request: StoredRequest): EnrolmentRequest {
  return {
    requestId: request.requestId,
    protocol: request.protocol,
    requester: request.requester,
    requesterName: request.requesterName,
    profile: request.profile,
    status: request.status,
    commonName: request.commonName,
    names: request.subjectAltName.map(({ value }) => value),
    serialNumber: request.serialNumber,
    issuerId: request.issuerId,
    certificate: request.certificate,
    chain: [...request.chain],
    decision: request.decision,
    approvalsNeeded: request.approvalsNeeded,
    votes: [...request.votes],
    createdAt: request.createdAt,
    reason: request.reason,
    errorCode: request.errorCode,
    errorMessage: request.errorMessage,
    certificationRequest: request.certificationRequest,
  };
}
