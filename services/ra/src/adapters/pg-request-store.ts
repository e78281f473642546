import type { EventLog } from '@gigvault/database/event-log';
import { jsonOctets } from '@gigvault/database/json-octets';
import { createLookup, shareStatement } from '@gigvault/database/lookup';
import { type NewEvent, ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { executeOnce, transaction } from '@gigvault/database/transaction';
import type { IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import type { Pool, PoolClient } from 'pg';
import type { JudgedRequest, StoredRequest } from '../enrolment/stored-request.ts';
import { type IssuingStore, LONGEST_DELAY, type RequestStore } from '../ports/request-store.ts';
import { COLUMNS, type RequestRow, toStoredRequest } from './pg-request-row.ts';
import { factsOf, failedEvent } from './request-event.ts';

const FIND = `SELECT ${COLUMNS} FROM enrolment_request r WHERE r.request_id = ANY ($1)`;

const INSERT = `WITH made AS (
    INSERT INTO enrolment_request (request_id, tenant_id, protocol, requester, profile, profile_hash, issuer_id, status,
      common_name, subject_alt_name, certification_request, authorization_ids, not_before, not_after, reason, decision,
      approvals_needed, due_at, created_at, requester_name, asked_at)
    SELECT request_id, tenant_id, protocol, requester, profile, profile_hash, issuer_id, status,
      common_name, subject_alt_name, certification_request, authorization_ids, not_before, not_after, reason, decision,
      approvals_needed, due_at, created_at, requester_name, CASE WHEN status = 'approved' THEN asked_at ELSE 0 END
    FROM json_populate_recordset(NULL::enrolment_request, $1)
    ON CONFLICT (request_id) DO NOTHING
    RETURNING request_id
  ), told AS (
    SELECT request_id::text AS key FROM made
  )`;

const ISSUED = `UPDATE enrolment_request r SET status = 'issued', serial_number = i.serial_number, issuer_id = i.issuer_id,
    certificate = i.certificate, chain = i.chain
  FROM json_to_recordset($1) AS i (n int, request_id uuid, serial_number text, issuer_id text, certificate bytea, chain bytea[])
  WHERE r.request_id = i.request_id AND r.status = 'approved' RETURNING i.n`;

const ASKED = `UPDATE enrolment_request SET asked_at = CASE WHEN asked_at = 0 THEN $2 ELSE asked_at END
  WHERE request_id = $1 AND status = 'approved' RETURNING asked_at`;

// Somebody who has asked the CA meanwhile may be getting a certificate: whoever does not know of it fails nothing.
const FAILED = `UPDATE enrolment_request SET status = 'failed', error_code = $2, error_message = $3
  WHERE request_id = $1 AND status = 'approved' AND asked_at = $4`;

const POSTPONE = `UPDATE enrolment_request SET attempts = attempts + 1, due_at = $2 WHERE request_id = $1 AND status = 'approved'`;

const CLAIM = `WITH due AS (
    SELECT request_id FROM enrolment_request WHERE status = 'approved' AND (due_at <= $2 OR due_at > $4)
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  UPDATE enrolment_request r SET due_at = $3 FROM due WHERE r.request_id = due.request_id
  RETURNING ${COLUMNS}`;

/** Enrolment requests in PostgreSQL. What is asked at the same time shares statements. */
export function pgRequestStore(pool: Pool, eventLog: EventLog): RequestStore & IssuingStore {
  const find = createLookup('ra.request-find', async (ids: readonly string[]) => {
    const { rows } = await query<RequestRow>(pool, {
      name: 'ra_request_find',
      text: FIND,
      values: [ids],
    });
    return new Map(rows.map((row) => [row.request_id, toStoredRequest(row)]));
  });
  const create = shareStatement('ra.request', (items: readonly Creation[]) =>
    createRequests(eventLog, items),
  );
  const mark = shareStatement('ra.request-issued', (items: readonly Issued[]) =>
    markIssued(pool, items),
  );
  return {
    find,
    create: (request, at) =>
      create({
        request,
        ...at,
        events: eventsOfSubmission(request).map(ofThisRequest),
      }),
    async list(filter) {
      const { text, values } = listQuery(filter);
      const { rows } = await query<RequestRow>(pool, { text, values });
      return rows.map(toStoredRequest);
    },
    async markAsked(requestId, now) {
      const { rows } = await query<{ asked_at: string }>(pool, {
        name: 'ra_request_asked',
        text: ASKED,
        values: [requestId, now],
      });
      return rows[0] && Number(rows[0].asked_at);
    },
    markIssued: (requestId, certificate) => mark({ requestId, certificate }),
    markFailed: (request, errorCode, errorMessage) =>
      transaction(pool, (client) => markFailed(client, eventLog, request, errorCode, errorMessage)),
    async postpone(requestId, dueAt) {
      await query(pool, {
        name: 'ra_request_postpone',
        text: POSTPONE,
        values: [requestId, dueAt],
      });
    },
    async claimApproved(limit, now, leasedUntil) {
      const { rows } = await query<RequestRow>(pool, {
        name: 'ra_request_claim',
        text: CLAIM,
        values: [limit, now, leasedUntil, now + LONGEST_DELAY],
      });
      return rows.map(toStoredRequest);
    },
    async countPending() {
      const text = `SELECT count(*)::int AS pending FROM enrolment_request WHERE status = 'pending'`;
      const { rows } = await query<{ pending: number }>(pool, { name: 'ra_request_pending', text });
      return rows[0]?.pending ?? 0;
    },
  };
}

interface Creation {
  readonly request: JudgedRequest;
  readonly askedAt: number;
  readonly dueAt: number;
  readonly events: readonly NewEvent[];
}

async function markFailed(
  client: PoolClient,
  eventLog: EventLog,
  request: StoredRequest,
  errorCode: string,
  errorMessage: string,
): Promise<boolean> {
  const values = [request.requestId, errorCode, errorMessage, request.askedAt];
  const { rowCount } = await client.query({ name: 'ra_request_failed', text: FAILED, values });
  if (rowCount !== 1) return false;
  await eventLog.append(client, [failedEvent(request, errorCode, errorMessage)]);
  return true;
}

/** Of several with one id in a batch the first counts. */
async function createRequests(eventLog: EventLog, items: readonly Creation[]): Promise<boolean[]> {
  const ids = items.map(({ request }) => request.requestId);
  const first = items.filter(({ request }, n) => ids.indexOf(request.requestId) === n);
  const rows = await eventLog.change<{ request_id: string }>({
    name: 'ra_request_insert',
    expressions: INSERT,
    values: [JSON.stringify(first.map(rowOf))],
    returning: 'SELECT request_id FROM made',
    events: first.flatMap(({ request, events }) =>
      events.map((event) => ({ key: request.requestId, event })),
    ),
  });
  const made = new Set(rows.map((row) => row.request_id));
  return ids.map((id, n) => ids.indexOf(id) === n && made.has(id));
}

function rowOf({ request, askedAt, dueAt }: Creation): object {
  return {
    request_id: request.requestId,
    tenant_id: request.tenantId,
    protocol: request.protocol,
    requester: request.requester,
    profile: request.profile,
    profile_hash: request.profileHash,
    issuer_id: request.issuerId,
    status: request.status,
    common_name: request.commonName,
    subject_alt_name: request.subjectAltName,
    certification_request: jsonOctets(request.certificationRequest),
    authorization_ids: request.authorizationIds,
    not_before: request.notBefore,
    not_after: request.notAfter,
    reason: request.reason,
    decision: request.decision,
    approvals_needed: request.approvalsNeeded,
    asked_at: askedAt,
    due_at: dueAt,
    created_at: request.createdAt,
    requester_name: request.requesterName,
  };
}

interface Issued {
  readonly requestId: string;
  readonly certificate: IssuedCertificate;
}

async function markIssued(pool: Pool, items: readonly Issued[]): Promise<boolean[]> {
  const rows = items.map(({ requestId, certificate: issued }, n) => ({
    n,
    request_id: requestId,
    serial_number: issued.serialNumber,
    issuer_id: issued.issuerId,
    certificate: jsonOctets(issued.certificate),
    chain: issued.chain.map(jsonOctets),
  }));
  const result = await executeOnce<{ n: number }>(pool, {
    name: 'ra_request_issued',
    text: ISSUED,
    values: [JSON.stringify(rows)],
  });
  const marked = new Set(result.rows.map(({ n }) => n));
  return items.map((_, n) => marked.has(n));
}

function eventsOfSubmission(request: JudgedRequest): NewEvent[] {
  const {
    requestId: subject,
    requester,
    reason,
    decision,
    authorizationIds,
    approvalsNeeded,
    status,
  } = request;
  const facts = factsOf(request);
  const submitted = {
    ...facts,
    profileHash: request.profileHash,
    reason,
    decision,
    authorizationIds,
    approvalsNeeded,
  };
  const events: NewEvent[] = [
    { type: 'enrolment.submitted', actor: requester, subject, data: submitted },
  ];
  const { policy, policyHash, rules } = decision;
  if (status === 'approved' || status === 'denied') {
    events.push({
      type: `enrolment.${status}`,
      actor: 'service:policy',
      subject,
      data: { ...facts, policy, policyHash, rules },
    });
  }
  return events;
}

function listQuery(filter: Parameters<RequestStore['list']>[0]): {
  text: string;
  values: unknown[];
} {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const use = (value: unknown) => `$${values.push(value)}`;
  if (filter.status !== '') conditions.push(`r.status = ${use(filter.status)}`);
  if (filter.requester !== '') conditions.push(`r.requester = ${use(filter.requester)}`);
  if (filter.before) {
    conditions.push(
      `(r.created_at, r.request_id) < (${use(filter.before.createdAt)}, ${use(filter.before.requestId)})`,
    );
  }
  const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
  const text = `SELECT ${COLUMNS} FROM enrolment_request r ${where} ORDER BY r.created_at DESC, r.request_id DESC LIMIT ${use(filter.limit)}`;
  return { text, values };
}
