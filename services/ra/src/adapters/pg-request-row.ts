import type { GeneralName } from '@gigvault/proto/ca/v1/issuance';
import type { Decision, Vote } from '@gigvault/proto/ra/v1/enrolment';
import type { RequestStatus, StoredRequest } from '../enrolment/stored-request.ts';

/** What a query of `enrolment_request r` reads, with the votes in their order. */
export const COLUMNS = `r.request_id, r.tenant_id, r.protocol, r.requester, r.requester_name, r.profile, r.profile_hash, r.issuer_id, r.status,
  r.common_name, r.subject_alt_name, r.certification_request, r.authorization_ids, r.not_before, r.not_after, r.reason,
  r.decision, r.approvals_needed, r.attempts, r.asked_at, r.due_at, r.serial_number, r.certificate, r.chain, r.error_code, r.error_message, r.created_at,
  (SELECT json_agg(json_strip_nulls(json_build_object('actor', v.actor, 'approve', v.approve, 'comment', v.comment, 'at', v.at,
      'actorName', v.actor_name)) ORDER BY v.at, v.actor)
    FROM vote v WHERE v.request_id = r.request_id) AS votes`;

/** A row of COLUMNS; 64-bit integers come as text. */
export interface RequestRow {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly protocol: string;
  readonly requester: string;
  readonly requester_name: string | null;
  readonly profile: string;
  readonly profile_hash: string;
  readonly issuer_id: string;
  readonly status: RequestStatus;
  readonly common_name: string;
  readonly subject_alt_name: GeneralName[];
  readonly certification_request: Buffer;
  readonly authorization_ids: string[];
  readonly not_before: string;
  readonly not_after: string;
  readonly reason: string;
  readonly decision: Decision;
  readonly approvals_needed: number;
  readonly attempts: number;
  readonly asked_at: string;
  readonly due_at: string;
  readonly serial_number: string;
  readonly certificate: Buffer | null;
  readonly chain: Buffer[] | null;
  readonly error_code: string;
  readonly error_message: string;
  readonly created_at: string;
  readonly votes: Vote[] | null;
}

/** The request of a row. */
export function toStoredRequest(row: RequestRow): StoredRequest {
  return {
    requestId: row.request_id,
    tenantId: row.tenant_id,
    protocol: row.protocol,
    requester: row.requester,
    requesterName: row.requester_name ?? undefined,
    profile: row.profile,
    profileHash: row.profile_hash,
    issuerId: row.issuer_id,
    status: row.status,
    commonName: row.common_name,
    subjectAltName: row.subject_alt_name,
    certificationRequest: row.certification_request,
    authorizationIds: row.authorization_ids,
    notBefore: Number(row.not_before),
    notAfter: Number(row.not_after),
    reason: row.reason,
    decision: row.decision,
    approvalsNeeded: row.approvals_needed,
    createdAt: Number(row.created_at),
    attempts: row.attempts,
    askedAt: Number(row.asked_at),
    dueAt: Number(row.due_at),
    votes: row.votes ?? [],
    serialNumber: row.serial_number,
    certificate: row.certificate ?? Buffer.alloc(0),
    chain: row.chain ?? [],
    errorCode: row.error_code,
    errorMessage: row.error_message,
  };
}
