import type { EventLog } from '@gigvault/database/event-log';
import type { NewEvent } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type { JudgedRequest } from '../enrolment/stored-request.ts';
import type { IssuingStore, RequestStore } from '../ports/request-store.ts';
import { COLUMNS, type RequestRow, toStoredRequest } from './pg-request-row.ts';
import { factsOf, failedEvent } from './request-event.ts';

const FIND = `SELECT ${COLUMNS} FROM enrolment_request r WHERE r.request_id = $1`;

const INSERT = `INSERT INTO enrolment_request (request_id, tenant_id, protocol, requester, profile, profile_hash, issuer_id, status,
    common_name, subject_alt_name, certification_request, authorization_ids, not_before, not_after, reason, decision,
    approvals_needed, due_at, created_at, requester_name, asked_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    CASE WHEN $8 = 'approved' THEN $19::bigint ELSE 0 END)
  ON CONFLICT (request_id) DO NOTHING`;

const ISSUED = `UPDATE enrolment_request SET status = 'issued', serial_number = $2, issuer_id = $3, certificate = $4, chain = $5
  WHERE request_id = $1 AND status = 'approved'`;

const ASKED = `UPDATE enrolment_request SET asked_at = CASE WHEN asked_at = 0 THEN $2 ELSE asked_at END
  WHERE request_id = $1 AND status = 'approved' RETURNING asked_at`;

// Somebody who has asked the CA meanwhile may be getting a certificate: whoever does not know of it fails nothing.
const FAILED = `UPDATE enrolment_request SET status = 'failed', error_code = $2, error_message = $3
  WHERE request_id = $1 AND status = 'approved' AND asked_at = $4`;

const POSTPONE = `UPDATE enrolment_request SET attempts = attempts + 1, due_at = $2 WHERE request_id = $1 AND status = 'approved'`;

const CLAIM = `WITH due AS (
    SELECT request_id FROM enrolment_request WHERE status = 'approved' AND due_at <= $2
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  UPDATE enrolment_request r SET due_at = $3 FROM due WHERE r.request_id = due.request_id
  RETURNING ${COLUMNS}`;

/** Enrolment requests in PostgreSQL. */
export function pgRequestStore(pool: Pool, eventLog: EventLog): RequestStore & IssuingStore {
  return {
    async find(requestId) {
      const { rows } = await query<RequestRow>(pool, {
        name: 'ra_request_find',
        text: FIND,
        values: [requestId],
      });
      return rows[0] && toStoredRequest(rows[0]);
    },
    create: (request, dueAt) =>
      transaction(pool, (client) => create(client, eventLog, request, dueAt)),
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
    async markIssued(requestId, { serialNumber, issuerId, certificate, chain }) {
      const { rowCount } = await query(pool, {
        name: 'ra_request_issued',
        text: ISSUED,
        values: [requestId, serialNumber, issuerId, certificate, chain],
      });
      return rowCount === 1;
    },
    markFailed: (request, errorCode, errorMessage) =>
      transaction(pool, async (client) => {
        const values = [request.requestId, errorCode, errorMessage, request.askedAt];
        const { rowCount } = await client.query({
          name: 'ra_request_failed',
          text: FAILED,
          values,
        });
        if (rowCount !== 1) return false;
        await eventLog.append(client, [failedEvent(request, errorCode, errorMessage)]);
        return true;
      }),
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
        values: [limit, now, leasedUntil],
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

async function create(
  client: PoolClient,
  eventLog: EventLog,
  request: JudgedRequest,
  dueAt: number,
): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'ra_request_insert',
    text: INSERT,
    values: [
      request.requestId,
      request.tenantId,
      request.protocol,
      request.requester,
      request.profile,
      request.profileHash,
      request.issuerId,
      request.status,
      request.commonName,
      JSON.stringify(request.subjectAltName),
      request.certificationRequest,
      request.authorizationIds,
      request.notBefore,
      request.notAfter,
      request.reason,
      JSON.stringify(request.decision),
      request.approvalsNeeded,
      dueAt,
      request.createdAt,
      request.requesterName,
    ],
  });
  if (rowCount !== 1) return false;
  await eventLog.append(client, eventsOfSubmission(request));
  return true;
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
