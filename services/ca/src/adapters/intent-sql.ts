import { isHeld } from '@gigvault/database/live-holder';

/** The columns of an intent, as `Intent` has them. */
const INTENT_COLUMNS = `intent_id, request_id, issuer_id, serial_number, profile, profile_hash, tbs, common_name,
  names, requester, tenant_id, protocol, not_before, not_after, spki_sha256, crl_shard, created_at`;

/**
 * Opens intents and takes their serial numbers; moves open intents to issued and stores their certificates. One parameter a column
 * (database/columns): $1 … $17 new intents, $18 and $19 the ids and certificates of those to be completed, $20 now, $21 who opens. Names are joined by
 * newlines, because unnest flattens arrays of arrays. An intent that is completed is looked up by its key: left to itself the planner goes
 * through all of `intent_open`, and under load nearly everything that stands there is dead.
 */
export const CHANGE_INTENTS = `
WITH item AS (
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::text[], $16::int[],
    $17::bigint[]) AS i(${INTENT_COLUMNS})
), blocked AS (
  SELECT i.intent_id FROM item i JOIN blocked_key b USING (spki_sha256)
), opened AS (
  INSERT INTO intent (${INTENT_COLUMNS}, status, holder)
  SELECT intent_id, request_id, issuer_id, serial_number, profile, profile_hash, tbs, common_name,
    string_to_array(names, E'\\n'), requester, tenant_id, protocol, not_before, not_after, spki_sha256, crl_shard,
    created_at, 'open', $21::int
  FROM item WHERE NOT EXISTS (SELECT FROM blocked b WHERE b.intent_id = item.intent_id)
  ON CONFLICT DO NOTHING
  RETURNING intent_id, issuer_id, serial_number
), numbered AS (
  INSERT INTO serial (issuer_id, serial_number) SELECT issuer_id, serial_number FROM opened
), finished AS (
  SELECT place, f.certificate FROM unnest($18::uuid[], $19::bytea[]) AS f(intent_id, certificate)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM intent WHERE intent.intent_id = f.intent_id LIMIT 1) AS found
), closed AS (
  UPDATE intent SET status = 'issued', closed_at = $20
  FROM finished WHERE intent.ctid = finished.place AND intent.status = 'open'
  RETURNING intent.*, finished.certificate
), stored AS (
  INSERT INTO certificate (serial_number, issuer_id, certificate, request_id, intent_id, common_name, names, profile,
    requester, tenant_id, protocol, not_before, not_after, spki_sha256, crl_shard, status, issued_at)
  SELECT serial_number, issuer_id, certificate, request_id, intent_id, common_name, names, profile, requester, tenant_id,
    protocol, not_before, not_after, spki_sha256, crl_shard, 'valid', $20 FROM closed
  RETURNING intent_id
), told AS (
  SELECT intent_id::text AS key FROM opened UNION ALL SELECT intent_id::text FROM stored
)`;

/** A row for each intent that is open now, whose key is blocked, or whose certificate is stored now. */
export const CHANGED_INTENTS = `
SELECT intent_id, 'opened' AS outcome FROM opened
UNION ALL SELECT intent_id, 'key-blocked' FROM blocked
UNION ALL SELECT intent_id, 'stored' FROM stored`;

/** Whether another process than $2 opened the intent, and lives. */
const HELD = `(i.holder IS DISTINCT FROM $2::int AND ${isHeld('i.holder')})`;

/** The issued or open intent of a request, with its certificate when issued, and whether another process works on it. $1 request id, $2 who asks. */
export const FIND_BY_REQUEST = `
SELECT i.intent_id, i.request_id, i.issuer_id, i.serial_number, i.profile, i.profile_hash, i.tbs, i.common_name, i.names,
  i.requester, i.tenant_id, i.protocol, i.not_before, i.not_after, i.spki_sha256, i.crl_shard, i.created_at, i.status,
  c.certificate, i.status = 'open' AND ${HELD} AS held
FROM intent i LEFT JOIN certificate c ON c.serial_number = i.serial_number AND c.issuer_id = i.issuer_id
WHERE i.request_id = $1 AND i.status IN ('open', 'issued')`;

/**
 * Open intents, oldest first. $1 created at or before, $2 who asks, $3 the same for those that another process works on, $4 and $5 only those after
 * this one, $6 limit, $7 or created after.
 */
export const LIST_OPEN = `SELECT ${INTENT_COLUMNS} FROM intent i
WHERE i.status = 'open' AND (i.created_at <= $3 OR (i.created_at <= $1 OR i.created_at > $7) AND NOT ${HELD})
  AND (i.created_at, i.intent_id) > ($4::bigint, $5::uuid)
ORDER BY i.created_at, i.intent_id LIMIT $6`;
