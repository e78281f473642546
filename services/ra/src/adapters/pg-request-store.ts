import type { EventLog, NewEvent } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type { JudgedRequest } from '../enrolment/stored-request.ts';
import type {
  IssuingStore,
  NewVote,
  RequestStore,
  VoteResult,
  VoteStore,
} from '../ports/request-store.ts';
import { COLUMNS, type RequestRow, toStoredRequest } from './pg-request-row.ts';

const FIND = `SELECT ${COLUMNS} FROM enrolment_request r WHERE r.request_id = $1`;

const INSERT = `INSERT INTO enrolment_request (request_id, tenant_id, protocol, requester, profile, profile_hash, issuer_id, status,
    common_name, subject_alt_name, certification_request, authorization_ids, not_before, not_after, reason, decision,
    approvals_needed, due_at, created_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
  ON CONFLICT (request_id) DO NOTHING`;

const ISSUED = `UPDATE enrolment_request SET status = 'issued', serial_number = $2, issuer_id = $3, certificate = $4, chain = $5
  WHERE request_id = $1 AND status = 'approved'`;

const FAILED = `UPDATE enrolment_request SET status = 'failed', error_code = $2, error_message = $3
  WHERE request_id = $1 AND status = 'approved'`;

const POSTPONE = `UPDATE enrolment_request SET attempts = attempts + 1, due_at = $2 WHERE request_id = $1 AND status = 'approved'`;

const CLAIM = `WITH due AS (
    SELECT request_id FROM enrolment_request WHERE status = 'approved' AND due_at <= $2
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  UPDATE enrolment_request r SET due_at = $3 FROM due WHERE r.request_id = due.request_id
  RETURNING ${COLUMNS}`;

// A wanted end without a wanted beginning is a wanted length: it counts from the approval.
const VOTE = `UPDATE enrolment_request SET
    approvals = approvals + CASE WHEN $3 THEN 1 ELSE 0 END,
    status = CASE WHEN NOT $3 THEN 'rejected' WHEN approvals + 1 >= approvals_needed THEN 'approved' ELSE 'pending' END,
    not_after = CASE WHEN $3 AND approvals + 1 >= approvals_needed AND not_before = 0 AND not_after > 0
      THEN not_after + ($4 - created_at) ELSE not_after END,
    due_at = $5
  WHERE request_id = $1 AND status = 'pending' AND requester <> $2
  RETURNING status, requester, protocol, profile, common_name, subject_alt_name`;

const INSERT_VOTE = `INSERT INTO vote (request_id, actor, approve, comment, at) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (request_id, actor) DO NOTHING`;

/** Rolls the transaction back without being an error for anybody. */
const VOTED_BEFORE = Symbol('voted before');

/** Enrolment requests in PostgreSQL. */
export function pgRequestStore(
  pool: Pool,
  eventLog: EventLog,
): RequestStore & IssuingStore & VoteStore {
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
        const values = [request.requestId, errorCode, errorMessage];
        const { rowCount } = await client.query({
          name: 'ra_request_failed',
          text: FAILED,
          values,
        });
        if (rowCount !== 1) return false;
        const data = { ...factsOf(request), errorCode, errorMessage };
        await eventLog.append(client, [
          { type: 'enrolment.failed', actor: 'service:ra', subject: request.requestId, data },
        ]);
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
    vote: (vote) => takeVote(pool, eventLog, vote),
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

function factsOf({
  requestId,
  requester,
  protocol,
  profile,
  commonName,
  subjectAltName,
}: JudgedRequest): object {
  return {
    requestId,
    requester,
    protocol,
    profile,
    commonName,
    names: subjectAltName.map(({ value }) => value),
  };
}

async function takeVote(pool: Pool, eventLog: EventLog, vote: NewVote): Promise<VoteResult> {
  try {
    return await transaction(pool, (client) => countVote(client, eventLog, vote));
  } catch (error) {
    if (error === VOTED_BEFORE) return 'voted before';
    throw error;
  }
}

/** The update locks the request, so votes are counted one after the other; a doubled vote takes its count back with the rest. */
async function countVote(
  client: PoolClient,
  eventLog: EventLog,
  vote: NewVote,
): Promise<VoteResult> {
  const { requestId, actor, approve, comment, at } = vote;
  const counted = {
    name: 'ra_request_vote',
    text: VOTE,
    values: [requestId, actor, approve, at, vote.dueAt],
  };
  const { rows } = await client.query<VotedRow>(counted);
  const [request] = rows;
  if (!request) return 'not pending';
  const cast = {
    name: 'ra_vote_insert',
    text: INSERT_VOTE,
    values: [requestId, actor, approve, comment, at],
  };
  if ((await client.query(cast)).rowCount !== 1) throw VOTED_BEFORE;
  const facts = {
    requestId,
    requester: request.requester,
    protocol: request.protocol,
    profile: request.profile,
    commonName: request.common_name,
    names: request.subject_alt_name.map(({ value }) => value),
  };
  const events: NewEvent[] = [
    { type: 'enrolment.voted', actor, subject: requestId, data: { ...facts, approve, comment } },
  ];
  if (request.status !== 'pending') {
    events.push({
      type: `enrolment.${request.status}`,
      actor,
      subject: requestId,
      data: { ...facts, comment },
    });
  }
  await eventLog.append(client, events);
  return 'counted';
}

interface VotedRow {
  readonly status: string;
  readonly requester: string;
  readonly protocol: string;
  readonly profile: string;
  readonly common_name: string;
  readonly subject_alt_name: { value: string }[];
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
