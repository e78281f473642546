import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type {
  ChallengeOutcome,
  ClaimedChallenge,
  ValidationQueue,
} from '../ports/validation-queue.ts';

// Its cost grows with the requesters that wait and not with what each of them has ordered: the index is entered once for
// each requester. Rows are locked last, when they have their turn, so that processes which claim at once do not starve.
const CLAIM = `WITH RECURSIVE waiting (requester) AS (
    (SELECT requester FROM challenge WHERE status = 'processing' ORDER BY requester LIMIT 1)
    UNION ALL
    SELECT (SELECT c.requester FROM challenge c WHERE c.status = 'processing' AND c.requester > w.requester
      ORDER BY c.requester LIMIT 1)
    FROM waiting w WHERE w.requester IS NOT NULL),
  turns AS (
    SELECT c.challenge_id, c.due_at,
      coalesce(busy.flying, 0) + row_number() OVER (PARTITION BY w.requester ORDER BY c.due_at) AS turn
    FROM waiting w
    LEFT JOIN unnest($5::text[], $6::int[]) AS busy (requester, flying) ON busy.requester = w.requester
    CROSS JOIN LATERAL (
      SELECT challenge_id, due_at FROM challenge
      WHERE requester = w.requester AND status = 'processing' AND due_at <= $2
      ORDER BY due_at LIMIT greatest($4::int - coalesce(busy.flying, 0), 0)) c),
  due AS (
    SELECT challenge_id FROM challenge WHERE status = 'processing' AND due_at <= $2
      AND challenge_id IN (SELECT challenge_id FROM turns ORDER BY turn, due_at LIMIT $1)
    FOR UPDATE SKIP LOCKED)
  UPDATE challenge c SET attempts = attempts + 1, due_at = $3
  FROM due, authorization_ a
  WHERE c.challenge_id = due.challenge_id AND a.authorization_id = c.authorization_id
  RETURNING c.challenge_id, c.authorization_id, c.token, c.key_authorization, c.attempts,
    a.requester, a.identifier_type, a.identifier_value`;

const POSTPONE = `UPDATE challenge SET due_at = $2 WHERE challenge_id = $1 AND status = 'processing'`;

const INSERT_EVIDENCE = `INSERT INTO validation_evidence
    (authorization_id, challenge_id, identifier_type, identifier_value, outcome, evidence, at)
  VALUES ($1, $2, $3, $4, $5, $6, $7)`;

const FINISH_CHALLENGE = `UPDATE challenge SET status = $2, validated_at = $3, error = $4, due_at = NULL
  WHERE challenge_id = $1 AND status = 'processing'`;

// An invalid authorization keeps its time; a valid one lasts from the validation on.
const FINISH_AUTHORIZATION = `UPDATE authorization_
  SET status = $2, expires_at = CASE WHEN $2 = 'valid' THEN $3 ELSE expires_at END
  WHERE authorization_id = $1 AND status = 'pending' AND identifier_type = $4 AND identifier_value = $5`;

/** Rolls the transaction back without being an error for anybody. */
const MOVED_ON = Symbol('moved on');

/** Challenges in PostgreSQL, leased by their due time. */
export function pgValidationQueue(pool: Pool, eventLog: EventLog): ValidationQueue {
  return {
    async countWaiting() {
      const { rows } = await query<{ waiting: number }>(pool, {
        name: 'ra_validations_waiting',
        text: `SELECT count(*)::int AS waiting FROM challenge WHERE status = 'processing'`,
      });
      return rows[0]?.waiting ?? 0;
    },
    async claim(limit, now, leasedUntil, { each, inFlight }) {
      const busy = [[...inFlight.keys()], [...inFlight.values()]];
      const values = [limit, now, leasedUntil, each, ...busy];
      const { rows } = await query<ClaimRow>(pool, {
        name: 'ra_challenge_claim',
        text: CLAIM,
        values,
      });
      return rows.map(toClaimed);
    },
    async postpone(challengeId, dueAt) {
      await query(pool, {
        name: 'ra_challenge_postpone',
        text: POSTPONE,
        values: [challengeId, dueAt],
      });
    },
    async finish(outcome) {
      try {
        await transaction(pool, (client) => finish(client, eventLog, outcome));
        return true;
      } catch (error) {
        if (error === MOVED_ON) return false;
        throw error;
      }
    },
  };
}

/** Evidence first: no authorization is ever valid without it. */
async function finish(
  client: PoolClient,
  eventLog: EventLog,
  outcome: ChallengeOutcome,
): Promise<void> {
  const { challenge, evidence, at, problem } = outcome;
  const { authorizationId, challengeId } = challenge;
  const { type, value } = evidence.identifier;
  const status = problem ? 'invalid' : 'valid';
  await client.query({
    name: 'ra_evidence_insert',
    text: INSERT_EVIDENCE,
    values: [authorizationId, challengeId, type, value, status, JSON.stringify(evidence), at],
  });
  const error = problem ? JSON.stringify(problem) : '';
  const validatedAt = problem ? 0 : at;
  await mustChange(client, 'ra_challenge_finish', FINISH_CHALLENGE, [
    challengeId,
    status,
    validatedAt,
    error,
  ]);
  const values = [authorizationId, status, outcome.validUntil, type, value];
  await mustChange(client, 'ra_authorization_finish', FINISH_AUTHORIZATION, values);
  const data = {
    requester: challenge.requester,
    challengeId,
    identifier: evidence.identifier,
    evidence,
    ...(problem ? { problem } : {}),
  };
  await eventLog.append(client, [
    { type: `authorization.${status}`, actor: 'service:ra', subject: authorizationId, data },
  ]);
}

async function mustChange(
  client: PoolClient,
  name: string,
  text: string,
  values: unknown[],
): Promise<void> {
  const { rowCount } = await client.query({ name, text, values });
  if (rowCount !== 1) throw MOVED_ON;
}

interface ClaimRow {
  readonly challenge_id: string;
  readonly authorization_id: string;
  readonly token: string;
  readonly key_authorization: string;
  readonly attempts: number;
  readonly requester: string;
  readonly identifier_type: string;
  readonly identifier_value: string;
}

function toClaimed(row: ClaimRow): ClaimedChallenge {
  return {
    authorizationId: row.authorization_id,
    challengeId: row.challenge_id,
    requester: row.requester,
    identifier: { type: row.identifier_type, value: row.identifier_value },
    token: row.token,
    keyAuthorization: row.key_authorization,
    attempt: row.attempts,
  };
}
