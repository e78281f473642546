import type { EventLog } from '@gigvault/database/event-log';
import type { NewEvent } from '@gigvault/database/new-event';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type { NewVote, VoteResult, VoteStore } from '../ports/request-store.ts';
import { COLUMNS, type RequestRow, toStoredRequest } from './pg-request-row.ts';
import { failedEvent } from './request-event.ts';

// A wanted end without a wanted beginning is a wanted length: it counts from the approval.
const VOTE = `UPDATE enrolment_request SET
    approvals = approvals + CASE WHEN $3 THEN 1 ELSE 0 END,
    status = CASE WHEN NOT $3 THEN 'rejected' WHEN approvals + 1 >= approvals_needed THEN 'approved' ELSE 'pending' END,
    not_after = CASE WHEN $3 AND approvals + 1 >= approvals_needed AND not_before = 0 AND not_after > 0
      THEN not_after + ($4 - created_at) ELSE not_after END,
    due_at = $5
  WHERE request_id = $1 AND status = 'pending' AND requester <> $2 AND created_at > $6
  RETURNING status, requester, protocol, profile, common_name, subject_alt_name`;

const INSERT_VOTE = `INSERT INTO vote (request_id, actor, approve, comment, at, actor_name) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT (request_id, actor) DO NOTHING`;

const EXPIRE = `WITH over AS (
    SELECT request_id FROM enrolment_request WHERE status = 'pending' AND created_at <= $1
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
  UPDATE enrolment_request r SET status = 'failed', error_code = $3, error_message = $4
  FROM over WHERE r.request_id = over.request_id
  RETURNING ${COLUMNS}`;

/** Rolls the transaction back without being an error for anybody. */
const VOTED_BEFORE = Symbol('voted before');

/** Reviews of enrolment requests in PostgreSQL. */
export function pgVoteStore(pool: Pool, eventLog: EventLog): VoteStore {
  return {
    vote: (vote) => takeVote(pool, eventLog, vote),
    expire: (before, limit, errorCode, errorMessage) =>
      transaction(pool, async (client) => {
        const { rows } = await client.query<RequestRow>({
          name: 'ra_reviews_expire',
          text: EXPIRE,
          values: [before, limit, errorCode, errorMessage],
        });
        const ended = rows.map(toStoredRequest);
        if (ended.length > 0)
          await eventLog.append(
            client,
            ended.map((request) => failedEvent(request, errorCode, errorMessage)),
          );
        return ended.length;
      }),
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
    values: [requestId, actor, approve, at, vote.dueAt, vote.madeAfter],
  };
  const { rows } = await client.query<VotedRow>(counted);
  const [request] = rows;
  if (!request) return 'not pending';
  const cast = {
    name: 'ra_vote_insert',
    text: INSERT_VOTE,
    values: [requestId, actor, approve, comment, at, vote.actorName],
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
  const decided = request.status !== 'pending';
  if (decided) {
    events.push({
      type: `enrolment.${request.status}`,
      actor,
      subject: requestId,
      data: { ...facts, comment },
    });
  }
  await eventLog.append(client, events);
  return decided ? 'decided' : 'counted';
}

interface VotedRow {
  readonly status: string;
  readonly requester: string;
  readonly protocol: string;
  readonly profile: string;
  readonly common_name: string;
  readonly subject_alt_name: { value: string }[];
}
