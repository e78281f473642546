import type { EventLog } from '@gigvault/database/event-log';
import { shareStatement } from '@gigvault/database/lookup';
import { type NewEvent, ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
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
  UPDATE challenge c SET due_at = $3
  FROM due, authorization_ a
  WHERE c.challenge_id = due.challenge_id AND a.authorization_id = c.authorization_id
  RETURNING c.challenge_id, c.authorization_id, c.token, c.key_authorization, c.attempts + 1 AS attempt,
    a.requester, a.identifier_type, a.identifier_value`;

const RENEW = `UPDATE challenge c SET due_at = $3
  FROM unnest($1::uuid[], $2::bigint[]) AS held (challenge_id, until)
  WHERE c.challenge_id = held.challenge_id AND c.status = 'processing' AND c.due_at = held.until`;

const RECALL = `UPDATE challenge SET due_at = $1 WHERE status = 'processing' AND due_at > $2`;

// An attempt counts when it has ended: one whose lease was lost says nothing about the server.
const POSTPONE = `UPDATE challenge SET attempts = $3, due_at = $2
  WHERE challenge_id = $1 AND status = 'processing' AND attempts < $3`;

// Evidence with it: no authorization is ever valid without. An invalid one keeps its time; a valid one lasts from the validation on.
const FINISH = `WITH item AS (
    SELECT DISTINCT ON (challenge_id) * FROM json_to_recordset($1) AS i (n int, authorization_id uuid, challenge_id uuid,
      type text, value text, outcome text, evidence jsonb, at bigint, validated_at bigint, error text, valid_until bigint)
  ), open AS (
    SELECT i.* FROM item i
    JOIN challenge c ON c.challenge_id = i.challenge_id AND c.status = 'processing'
    JOIN authorization_ a ON a.authorization_id = i.authorization_id AND a.status = 'pending'
      AND a.identifier_type = i.type AND a.identifier_value = i.value
    FOR UPDATE OF c, a
  ), evidenced AS (
    INSERT INTO validation_evidence (authorization_id, challenge_id, identifier_type, identifier_value, outcome, evidence, at)
    SELECT authorization_id, challenge_id, type, value, outcome, evidence, at FROM open
  ), challenged AS (
    UPDATE challenge c SET status = o.outcome, validated_at = o.validated_at, error = o.error, due_at = NULL
    FROM open o WHERE c.challenge_id = o.challenge_id
  ), authorized AS (
    UPDATE authorization_ a SET status = o.outcome,
      expires_at = CASE WHEN o.outcome = 'valid' THEN o.valid_until ELSE a.expires_at END
    FROM open o WHERE a.authorization_id = o.authorization_id
  ), told AS (
    SELECT n::text AS key FROM open
  )`;

/** Challenges in PostgreSQL, leased by their due time. */
export function pgValidationQueue(pool: Pool, eventLog: EventLog): ValidationQueue {
  const finishing = shareStatement('ra.challenge-finish', (items: readonly Ended[]) =>
    finish(eventLog, items),
  );
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
    async recall(now, latest) {
      await query(pool, { name: 'ra_challenge_recall', text: RECALL, values: [now, latest] });
    },
    async renew(held, until) {
      const ids = held.map(({ challengeId }) => challengeId);
      const ends = held.map((lease) => lease.until);
      await query(pool, { name: 'ra_challenge_renew', text: RENEW, values: [ids, ends, until] });
    },
    async postpone({ challengeId, attempt }, dueAt) {
      await query(pool, {
        name: 'ra_challenge_postpone',
        text: POSTPONE,
        values: [challengeId, dueAt, attempt],
      });
    },
    finish: (outcome) => finishing({ outcome, event: ofThisRequest(eventOf(outcome)) }),
  };
}

interface Ended {
  readonly outcome: ChallengeOutcome;
  readonly event: NewEvent;
}

async function finish(eventLog: EventLog, items: readonly Ended[]): Promise<boolean[]> {
  const rows = await eventLog.change<{ key: string }>({
    name: 'ra_challenge_finish',
    expressions: FINISH,
    values: [JSON.stringify(items.map(({ outcome }, n) => ({ n, ...rowOf(outcome) })))],
    returning: 'SELECT key FROM told',
    events: items.map(({ event }, n) => ({ key: `${n}`, event })),
  });
  const finished = new Set(rows.map(({ key }) => Number(key)));
  return items.map((_, n) => finished.has(n));
}

function statusOf({ problem }: ChallengeOutcome): 'valid' | 'invalid' {
  return problem ? 'invalid' : 'valid';
}

function rowOf(outcome: ChallengeOutcome): object {
  const { challenge, evidence, at, problem, validUntil } = outcome;
  return {
    authorization_id: challenge.authorizationId,
    challenge_id: challenge.challengeId,
    type: evidence.identifier.type,
    value: evidence.identifier.value,
    outcome: statusOf(outcome),
    evidence,
    at,
    validated_at: problem ? 0 : at,
    error: problem ? JSON.stringify(problem) : '',
    valid_until: validUntil,
  };
}

function eventOf(outcome: ChallengeOutcome): NewEvent {
  const { challenge, evidence, problem } = outcome;
  const { authorizationId, challengeId, requester } = challenge;
  const data = {
    requester,
    challengeId,
    identifier: evidence.identifier,
    evidence,
    ...(problem ? { problem } : {}),
  };
  const type = `authorization.${statusOf(outcome)}`;
  return { type, actor: 'service:ra', subject: authorizationId, data };
}

interface ClaimRow {
  readonly challenge_id: string;
  readonly authorization_id: string;
  readonly token: string;
  readonly key_authorization: string;
  readonly attempt: number;
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
    attempt: row.attempt,
  };
}
