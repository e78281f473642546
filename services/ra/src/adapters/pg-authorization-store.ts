import type { EventLog } from '@gigvault/database/event-log';
import { createLookup, shareStatement } from '@gigvault/database/lookup';
import { query } from '@gigvault/database/query';
import { executeOnce, transaction } from '@gigvault/database/transaction';
import type { Authorization, Identifier } from '@gigvault/proto/ra/v1/authorization';
import type { Pool, PoolClient, QueryConfig } from 'pg';
import type {
  AuthorizationStore,
  NewAuthorization,
  Proof,
  ProofSource,
} from '../ports/authorization-store.ts';

const COLUMNS = `a.authorization_id, a.requester, a.identifier_type, a.identifier_value, a.status, a.expires_at,
  c.challenge_id, c.type, c.token, c.status AS challenge_status, c.validated_at, c.error`;

const FIND_VALID = `SELECT DISTINCT ON (wanted.n, a.identifier_type, a.identifier_value) wanted.n, ${COLUMNS}
  FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS wanted (n, requester, type, value, until)
  JOIN authorization_ a ON a.requester = wanted.requester AND a.identifier_type = wanted.type AND a.identifier_value = wanted.value
    AND a.status = 'valid' AND a.expires_at > wanted.until
  JOIN challenge c ON c.authorization_id = a.authorization_id
  ORDER BY wanted.n, a.identifier_type, a.identifier_value, a.expires_at DESC`;

const COUNT_PENDING = `SELECT pending.count
  FROM unnest($1::text[], $2::bigint[], $3::int[]) WITH ORDINALITY AS asked (requester, now, most, n)
  CROSS JOIN LATERAL (SELECT count(*)::int FROM (
    SELECT 1 FROM authorization_ a WHERE a.requester = asked.requester AND a.status = 'pending' AND a.expires_at > asked.now
    LIMIT asked.most) AS counted) AS pending
  ORDER BY asked.n`;

const INSERT = `WITH made AS (
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::uuid[], $8::text[])
      AS m (authorization_id, requester, type, value, expires_at, created_at, challenge_id, token)
  ), authorized AS (
    INSERT INTO authorization_ (authorization_id, requester, identifier_type, identifier_value, status, expires_at, created_at)
    SELECT authorization_id, requester, type, value, 'pending', expires_at, created_at FROM made
  )
  INSERT INTO challenge (challenge_id, authorization_id, requester, type, token, status)
  SELECT challenge_id, authorization_id, requester, 'http-01', token, 'pending' FROM made`;

const GET = `SELECT ${COLUMNS} FROM authorization_ a JOIN challenge c ON c.authorization_id = a.authorization_id
  WHERE a.authorization_id = ANY ($1::uuid[])`;

const START = `UPDATE challenge c SET status = 'processing', key_authorization = i.key_authorization, due_at = i.due_at
  FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS i (challenge_id, key_authorization, due_at, n)
  WHERE c.challenge_id = i.challenge_id AND c.status = 'pending' AND EXISTS (
    SELECT FROM authorization_ a
    WHERE a.authorization_id = c.authorization_id AND a.status = 'pending' AND a.expires_at > i.due_at)
  RETURNING i.n::int`;

const DEACTIVATE = `UPDATE authorization_ SET status = 'deactivated'
  WHERE authorization_id = $1 AND requester = $2 AND status IN ('pending', 'valid') AND expires_at > $3
  RETURNING identifier_type, identifier_value`;

// What is being validated has nothing left to prove.
const END_CHALLENGES = `UPDATE challenge SET status = 'invalid', due_at = NULL
  WHERE authorization_id = $1 AND status IN ('pending', 'processing')`;

// The name comes from the evidence row: an authorization alone proves nothing.
const PROOFS = `SELECT asked.n, a.authorization_id, a.identifier_type, a.identifier_value,
    e.identifier_type AS validated_type, e.identifier_value AS validated_value
  FROM unnest($1::int[], $2::uuid[], $3::text[], $4::bigint[]) AS asked (n, authorization_id, requester, now)
  JOIN authorization_ a ON a.authorization_id = asked.authorization_id AND a.requester = asked.requester
    AND a.status = 'valid' AND a.expires_at > asked.now
  JOIN validation_evidence e ON e.authorization_id = a.authorization_id AND e.outcome = 'valid'`;

/** Authorizations in PostgreSQL. What is asked at the same time shares statements. */
export function pgAuthorizationStore(
  pool: Pool,
  eventLog: EventLog,
): AuthorizationStore & ProofSource {
  const findValid = shareStatement('ra.authorization-valid', (asked: readonly ValidQuestion[]) =>
    validOf(pool, asked),
  );
  const countPending = shareStatement(
    'ra.authorization-pending',
    (asked: readonly PendingQuestion[]) => pendingOf(pool, asked),
  );
  const create = shareStatement('ra.authorization-create', async (items: readonly Creation[]) => {
    await executeOnce(pool, insertion(items));
    return items.map(() => undefined);
  });
  const get = createLookup('ra.authorization', async (ids: readonly string[]) => {
    const name = 'ra_authorizations_get';
    const { rows } = await query<Row>(pool, { name, text: GET, values: [ids] });
    return new Map(rows.map((row) => [row.authorization_id, toAuthorization(row)]));
  });
  const start = shareStatement('ra.challenge-start', (items: readonly Start[]) =>
    startValidations(pool, items),
  );
  const proofs = shareStatement('ra.authorization-proofs', (asked: readonly ProofQuestion[]) =>
    proofsOf(pool, asked),
  );
  return {
    findValid: (requester, identifiers, until) => findValid({ requester, identifiers, until }),
    countPending: (requester, now, limit) => countPending([requester, now, limit]),
    create: (requester, made, now) => create({ requester, made, now }),
    async get(ids) {
      const found = await Promise.all([...new Set(ids)].map(get));
      return found.filter((authorization) => authorization !== undefined);
    },
    startValidation: (challengeId, keyAuthorization, now) =>
      start([challengeId, keyAuthorization, now]),
    deactivate: (authorizationId, requester, now) =>
      transaction(pool, (client) => deactivate(client, eventLog, authorizationId, requester, now)),
    proofs: (authorizationIds, requester, now) => proofs({ authorizationIds, requester, now }),
  };
}

async function deactivate(
  client: PoolClient,
  eventLog: EventLog,
  authorizationId: string,
  requester: string,
  now: number,
): Promise<boolean> {
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
}

type PendingQuestion = readonly [requester: string, now: number, most: number];

async function pendingOf(pool: Pool, questions: readonly PendingQuestion[]): Promise<number[]> {
  const { rows } = await query<{ count: number }>(pool, {
    name: 'ra_authorizations_pending',
    text: COUNT_PENDING,
    values: columnsOf(questions, 3),
  });
  return rows.map(({ count }) => count);
}

type Start = readonly [challengeId: string, keyAuthorization: string, now: number];

async function startValidations(pool: Pool, items: readonly Start[]): Promise<boolean[]> {
  const { rows } = await executeOnce<{ n: number }>(pool, {
    name: 'ra_challenge_start',
    text: START,
    values: columnsOf(items, 3),
  });
  const started = new Set(rows.map(({ n }) => n - 1));
  return items.map((_, n) => started.has(n));
}

interface ValidQuestion {
  readonly requester: string;
  readonly identifiers: readonly Identifier[];
  readonly until: number;
}

async function validOf(
  pool: Pool,
  questions: readonly ValidQuestion[],
): Promise<Authorization[][]> {
  const wanted = questions.flatMap(({ requester, identifiers, until }, n) =>
    identifiers.map(({ type, value }) => [n, requester, type, value, until]),
  );
  const { rows } = await query<Row & { n: number }>(pool, {
    name: 'ra_authorizations_valid',
    text: FIND_VALID,
    values: columnsOf(wanted, 5),
  });
  return byQuestion(questions.length, rows, toAuthorization);
}

interface Creation {
  readonly requester: string;
  readonly made: readonly NewAuthorization[];
  readonly now: number;
}

function insertion(items: readonly Creation[]): QueryConfig {
  const rows = items.flatMap(({ requester, made, now }) =>
    made.map(({ authorizationId, identifier, expiresAt, challengeId, token }) => [
      authorizationId,
      requester,
      identifier.type,
      identifier.value,
      expiresAt,
      now,
      challengeId,
      token,
    ]),
  );
  return { name: 'ra_authorizations_insert', text: INSERT, values: columnsOf(rows, 8) };
}

interface ProofQuestion {
  readonly authorizationIds: readonly string[];
  readonly requester: string;
  readonly now: number;
}

async function proofsOf(pool: Pool, questions: readonly ProofQuestion[]): Promise<Proof[][]> {
  const asked = questions.flatMap(({ authorizationIds, requester, now }, n) =>
    [...new Set(authorizationIds)].map((id) => [n, id, requester, now]),
  );
  const { rows } = await query<ProofRow & { n: number }>(pool, {
    name: 'ra_authorization_proofs',
    text: PROOFS,
    values: columnsOf(asked, 4),
  });
  return byQuestion(questions.length, rows, (row) => ({
    authorizationId: row.authorization_id,
    identifier: { type: row.identifier_type, value: row.identifier_value },
    validated: { type: row.validated_type, value: row.validated_value },
  }));
}

/** Rows as the arrays, one a column, that unnest takes. */
function columnsOf(rows: readonly (readonly unknown[])[], count: number): unknown[][] {
  return Array.from({ length: count }, (_, column) => rows.map((row) => row[column]));
}

/** What each question has found. */
function byQuestion<R extends { readonly n: number }, V>(
  questions: number,
  rows: readonly R[],
  read: (row: R) => V,
): V[][] {
  const groups = Map.groupBy(rows, ({ n }) => n);
  return Array.from({ length: questions }, (_, n) => (groups.get(n) ?? []).map(read));
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
