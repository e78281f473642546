import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Authorization, Identifier } from '@gigvault/proto/ra/v1/authorization';
import type { Pool } from 'pg';
import type {
  AuthorizationStore,
  NewAuthorization,
  ProofSource,
} from '../ports/authorization-store.ts';

const COLUMNS = `a.authorization_id, a.requester, a.identifier_type, a.identifier_value, a.status, a.expires_at,
  c.challenge_id, c.type, c.token, c.status AS challenge_status, c.validated_at, c.error`;

const FIND_VALID = `SELECT DISTINCT ON (a.identifier_type, a.identifier_value) ${COLUMNS}
  FROM unnest($2::text[], $3::text[]) AS wanted (type, value)
  JOIN authorization_ a ON a.requester = $1 AND a.identifier_type = wanted.type AND a.identifier_value = wanted.value
    AND a.status = 'valid' AND a.expires_at > $4
  JOIN challenge c ON c.authorization_id = a.authorization_id
  ORDER BY a.identifier_type, a.identifier_value, a.expires_at DESC`;

const COUNT_PENDING = `SELECT count(*)::int AS pending FROM (
  SELECT 1 FROM authorization_ WHERE requester = $1 AND status = 'pending' AND expires_at > $2 LIMIT $3) AS counted`;

const INSERT_AUTHORIZATIONS = `INSERT INTO authorization_
    (authorization_id, requester, identifier_type, identifier_value, status, expires_at, created_at)
  SELECT id, $1, type, value, 'pending', expires_at, $2
  FROM unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[]) AS made (id, type, value, expires_at)`;

const INSERT_CHALLENGES = `INSERT INTO challenge (challenge_id, authorization_id, requester, type, token, status)
  SELECT id, authorization_id, $4, 'http-01', token, 'pending'
  FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS made (id, authorization_id, token)`;

const GET = `SELECT ${COLUMNS} FROM authorization_ a JOIN challenge c ON c.authorization_id = a.authorization_id
  WHERE a.authorization_id = ANY ($1::uuid[])`;

const START = `UPDATE challenge SET status = 'processing', key_authorization = $2, due_at = $3
  WHERE challenge_id = $1 AND status = 'pending' AND EXISTS (
    SELECT FROM authorization_ a
    WHERE a.authorization_id = challenge.authorization_id AND a.status = 'pending' AND a.expires_at > $3)`;

const DEACTIVATE = `UPDATE authorization_ SET status = 'deactivated'
  WHERE authorization_id = $1 AND requester = $2 AND status IN ('pending', 'valid') AND expires_at > $3
  RETURNING identifier_type, identifier_value`;

// What is being validated has nothing left to prove.
const END_CHALLENGES = `UPDATE challenge SET status = 'invalid', due_at = NULL
  WHERE authorization_id = $1 AND status IN ('pending', 'processing')`;

// The name comes from the evidence row: an authorization alone proves nothing.
const PROOFS = `SELECT a.authorization_id, a.identifier_type, a.identifier_value,
    e.identifier_type AS validated_type, e.identifier_value AS validated_value
  FROM authorization_ a JOIN validation_evidence e ON e.authorization_id = a.authorization_id AND e.outcome = 'valid'
  WHERE a.authorization_id = ANY ($1::uuid[]) AND a.requester = $2 AND a.status = 'valid' AND a.expires_at > $3`;

/** Authorizations in PostgreSQL. */
export function pgAuthorizationStore(
  pool: Pool,
  eventLog: EventLog,
): AuthorizationStore & ProofSource {
  return {
    async findValid(requester, identifiers, until) {
      const values = [
        requester,
        identifiers.map(({ type }) => type),
        identifiers.map(({ value }) => value),
        until,
      ];
      return read(pool, 'ra_authorizations_valid', FIND_VALID, values);
    },
    async countPending(requester, now, limit) {
      const { rows } = await query<{ pending: number }>(pool, {
        name: 'ra_authorizations_pending',
        text: COUNT_PENDING,
        values: [requester, now, limit],
      });
      return rows[0]?.pending ?? 0;
    },
    create: (requester, authorizations, now) => create(pool, requester, authorizations, now),
    get: (ids) => read(pool, 'ra_authorizations_get', GET, [ids]),
    async startValidation(challengeId, keyAuthorization, now) {
      const values = [challengeId, keyAuthorization, now];
      const { rowCount } = await query(pool, { name: 'ra_challenge_start', text: START, values });
      return rowCount === 1;
    },
    deactivate: (authorizationId, requester, now) =>
      transaction(pool, async (client) => {
        const { rows } = await client.query<{ identifier_type: string; identifier_value: string }>({
          name: 'ra_authorization_deactivate',
          text: DEACTIVATE,
          values: [authorizationId, requester, now],
        });
        const [row] = rows;
        if (!row) return false;
        await client.query({
          name: 'ra_challenges_end',
          text: END_CHALLENGES,
          values: [authorizationId],
        });
        const data = { identifier: { type: row.identifier_type, value: row.identifier_value } };
        await eventLog.append(client, [
          { type: 'authorization.deactivated', actor: requester, subject: authorizationId, data },
        ]);
        return true;
      }),
    async proofs(authorizationIds, requester, now) {
      const values = [authorizationIds, requester, now];
      const { rows } = await query<ProofRow>(pool, {
        name: 'ra_authorization_proofs',
        text: PROOFS,
        values,
      });
      return rows.map((row) => ({
        authorizationId: row.authorization_id,
        identifier: { type: row.identifier_type, value: row.identifier_value },
        validated: { type: row.validated_type, value: row.validated_value },
      }));
    },
  };
}

async function create(
  pool: Pool,
  requester: string,
  made: readonly NewAuthorization[],
  now: number,
): Promise<void> {
  const ids = made.map(({ authorizationId }) => authorizationId);
  await transaction(pool, async (client) => {
    await client.query({
      name: 'ra_authorizations_insert',
      text: INSERT_AUTHORIZATIONS,
      values: [
        requester,
        now,
        ids,
        made.map(({ identifier }) => identifier.type),
        made.map(({ identifier }) => identifier.value),
        made.map(({ expiresAt }) => expiresAt),
      ],
    });
    await client.query({
      name: 'ra_challenges_insert',
      text: INSERT_CHALLENGES,
      values: [
        made.map(({ challengeId }) => challengeId),
        ids,
        made.map(({ token }) => token),
        requester,
      ],
    });
  });
}

interface ProofRow {
  readonly authorization_id: string;
  readonly identifier_type: string;
  readonly identifier_value: string;
  readonly validated_type: string;
  readonly validated_value: string;
}

interface Row {
  readonly authorization_id: string;
  readonly requester: string;
  readonly identifier_type: string;
  readonly identifier_value: string;
  readonly status: string;
  readonly expires_at: string;
  readonly challenge_id: string;
  readonly type: string;
  readonly token: string;
  readonly challenge_status: string;
  readonly validated_at: string;
  readonly error: string;
}

async function read(
  pool: Pool,
  name: string,
  text: string,
  values: unknown[],
): Promise<Authorization[]> {
  const { rows } = await query<Row>(pool, { name, text, values });
  return rows.map(toAuthorization);
}

function toAuthorization(row: Row): Authorization {
  const identifier: Identifier = { type: row.identifier_type, value: row.identifier_value };
  const challenge = {
    challengeId: row.challenge_id,
    type: row.type,
    token: row.token,
    status: row.challenge_status,
    validatedAt: Number(row.validated_at),
    error: row.error,
  };
  const { authorization_id: authorizationId, requester, status } = row;
  return {
    authorizationId,
    requester,
    identifier,
    status,
    expiresAt: Number(row.expires_at),
    challenges: [challenge],
  };
}
