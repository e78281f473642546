import type { EventLog } from '@gigvault/database/event-log';
import { shareStatement } from '@gigvault/database/lookup';
import { ofThisRequest } from '@gigvault/database/new-event';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import type { Pool, PoolClient } from 'pg';
import type { KeyGrant } from '../keys/key-grant.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { KeyCourse, KeyPage, KeyTable } from '../ports/key-table.ts';
import {
  KEY_COLUMNS,
  type KeyRow,
  keyValues,
  toDate,
  toKeyVersion,
  toStoredKey,
  type VersionRow,
} from './key-rows.ts';
import { recordUses, type Use } from './recorded-uses.ts';

/** Parameters $1 to $7 of `asBefore`. */
const AS_BEFORE = `key_id = $1 AND version = $2 AND state = $3
  AND destroy_at IS NOT DISTINCT FROM $4::timestamptz AND restore_state IS NOT DISTINCT FROM $5 AND grants_version = $6 AND destroy_by = $7::text[]`;

/** Of what is asked for together, what is still so. Shared: whoever changes one of these keys waits until the events are in the log. */
const STILL_SO = `WITH told AS (
    SELECT u.n::text AS key
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::integer[]) WITH ORDINALITY AS u (key_id, version, state, grants_version, n)
    JOIN key AS k ON k.key_id = u.key_id AND k.version = u.version AND k.state = u.state AND k.grants_version = u.grants_version
    FOR SHARE OF k
  )`;

/** The tables `key` and `key_version`. */
export function pgKeyTable(pool: Pool, eventLog: EventLog): KeyTable {
  const use = shareStatement('keymgr.use', (uses: readonly Use[]) =>
    recordUses(eventLog, { name: 'key-use', expressions: STILL_SO }, uses),
  );
  return {
    insert: (key, event) => told(pool, eventLog, event, (client) => insert(client, key)),

    async find(keyId) {
      const { rows } = await query<KeyRow>(pool, {
        name: 'key-find',
        text: `SELECT ${KEY_COLUMNS} FROM key WHERE key_id = $1`,
        values: [keyId],
      });
      return rows.map(toStoredKey)[0];
    },

    async list(page) {
      const { rows } = await query<KeyRow>(pool, listing(page));
      return rows.map(toStoredKey);
    },

    async versions(keyId, before, limit) {
      const { rows } = await query<VersionRow>(pool, {
        name: 'key-versions',
        text: `SELECT version, spki, backend, handle, created_at AS version_created_at FROM key_version
               WHERE key_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3`,
        values: [keyId, before, limit],
      });
      return rows.map(toKeyVersion);
    },

    move: (key, next, event) => told(pool, eventLog, event, (client) => move(client, key, next)),
    rotate: (key, next, event) =>
      told(pool, eventLog, event, (client) => rotate(client, key, next)),
    grant: (key, grants, event) =>
      told(pool, eventLog, event, (client) => grant(client, key, grants)),
    recordUse: (key, event) => use({ key, event: ofThisRequest(event) }),

    async due(until, approvals, after, limit) {
      const { rows } = await query<KeyRow>(pool, {
        name: 'key-due',
        text: `SELECT ${KEY_COLUMNS} FROM key
               WHERE destroy_at <= $1 AND (destroy_at, key_id) > ($2::timestamptz, $3)
                 AND (restore_state IS NULL OR $5 = 0 OR cardinality(destroy_by) > $5)
               ORDER BY destroy_at, key_id LIMIT $4`,
        values: [
          new Date(until),
          toDate(after?.destroyAt ?? null) ?? '-infinity',
          after?.keyId ?? '',
          limit,
          approvals,
        ],
      });
      return rows.map(toStoredKey);
    },
  };
}

/** A text of its own for each filter: each is answered by the index that fits. */
function listing({ limit, after, tenantId, state, backend }: KeyPage) {
  const filters = { tenant_id: tenantId, state, backend };
  const given = Object.entries(filters).filter(([, value]) => value !== undefined);
  const conditions = given.map(([name], n) => ` AND ${name} = $${n + 3}`).join('');
  return {
    name: `key-list${given.map(([name]) => `-${name}`).join('')}`,
    text: `SELECT ${KEY_COLUMNS} FROM key WHERE key_id > $1${conditions} ORDER BY key_id LIMIT $2`,
    values: [after, limit, ...given.map(([, value]) => value)],
  };
}

/** A change with its event, in one transaction. False, and nothing is told, when there was nothing to change. */
function told(
  pool: Pool,
  eventLog: EventLog,
  event: KeyEvent,
  change: (client: PoolClient) => Promise<boolean>,
): Promise<boolean> {
  return transaction(pool, async (client) => {
    if (!(await change(client))) return false;
    await eventLog.append(client, [event]);
    return true;
  });
}

async function insert(client: PoolClient, key: StoredKey): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'key-insert',
    text: `INSERT INTO key (${KEY_COLUMNS})
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) ON CONFLICT (key_id) DO NOTHING`,
    values: keyValues(key),
  });
  return rowCount !== 0;
}

async function move(
  client: PoolClient,
  key: StoredKey,
  { state, destroyAt, restoreState, destroyBy }: KeyCourse,
): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'key-move',
    text: `UPDATE key SET state = $8, destroy_at = $9, restore_state = $10, destroy_by = $11 WHERE ${AS_BEFORE}`,
    values: [...asBefore(key), state, toDate(destroyAt), restoreState, destroyBy],
  });
  return rowCount !== 0;
}

async function rotate(client: PoolClient, key: StoredKey, next: KeyVersion): Promise<boolean> {
  // Locked by the first statement: who comes second finds another version.
  const { rowCount } = await client.query({
    name: 'key-keep-version',
    text: `INSERT INTO key_version (key_id, version, spki, backend, handle, created_at)
           SELECT key_id, version, spki, backend, handle, version_created_at FROM key WHERE ${AS_BEFORE} FOR UPDATE`,
    values: asBefore(key),
  });
  if (rowCount === 0) return false;
  await client.query({
    name: 'key-rotate',
    text: `UPDATE key SET version = $2, spki = $3, backend = $4, handle = $5, version_created_at = $6 WHERE key_id = $1`,
    values: [
      key.keyId,
      next.version,
      next.publicKey?.spki ?? null,
      next.backend,
      next.handle,
      new Date(next.versionCreatedAt),
    ],
  });
  return true;
}

async function grant(
  client: PoolClient,
  key: StoredKey,
  grants: readonly KeyGrant[],
): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'key-grant',
    text: `UPDATE key SET grants = $8, grants_version = grants_version + 1 WHERE ${AS_BEFORE}`,
    values: [...asBefore(key), JSON.stringify(grants)],
  });
  return rowCount !== 0;
}

function asBefore(key: StoredKey): unknown[] {
  const { keyId, version, state, destroyAt, restoreState, grantsVersion, destroyBy } = key;
  return [keyId, version, state, toDate(destroyAt), restoreState, grantsVersion, destroyBy];
}
