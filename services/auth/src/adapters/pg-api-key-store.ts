import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Pool, PoolClient } from 'pg';
import type { ApiKey, ApiKeyStore, NewApiKey } from '../ports/api-key-store.ts';
import { type UserRow, userOf } from './pg-user.ts';

interface ApiKeyRow {
  readonly key_id: string;
  readonly user_id: string;
  readonly label: string;
  readonly key_created_at: Date;
  readonly last_used_at: Date | null;
  readonly revoked_at: Date | null;
  readonly expires_at: Date | null;
}

type FoundRow = ApiKeyRow & UserRow & { readonly secret_hash: Buffer };

const KEY_COLUMNS =
  'k.key_id, k.user_id, k.label, k.created_at AS key_created_at, k.last_used_at, k.revoked_at, k.expires_at';

const FIND = {
  name: 'auth-find-api-key',
  text: `SELECT ${KEY_COLUMNS}, k.secret_hash, u.name, u.display_name, u.roles, u.status, u.tenant_id, u.created_at
    FROM api_key k JOIN user_ u ON u.user_id = k.user_id WHERE k.key_id = $1`,
};

const WORKS = `revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)`;

const LIST = `SELECT ${KEY_COLUMNS}
  FROM (SELECT * FROM api_key WHERE user_id = $1 ORDER BY (${WORKS}) DESC, created_at DESC LIMIT 1000) k
  ORDER BY k.created_at DESC`;

/** Locks the user: no other key is counted, and the user is not disabled, before this one is stored. */
const LOCK_USER = `SELECT 1 FROM user_ WHERE user_id = $1 AND status = 'active' FOR NO KEY UPDATE`;

const COUNT = `SELECT count(*)::int AS keys FROM api_key WHERE user_id = $1 AND ${WORKS}`;

const USE = {
  name: 'auth-use-api-key',
  text: 'UPDATE api_key SET last_used_at = $2 WHERE key_id = $1 AND revoked_at IS NULL',
};

const REVOKED_SINCE = {
  name: 'auth-api-keys-revoked',
  text: 'SELECT key_id FROM api_key WHERE revoked_at >= $1',
};

/** Inserts a key; to be called in the transaction of what it belongs to. Throws ALREADY_EXISTS when the key id is taken. */
export async function insertApiKey(client: PoolClient, key: NewApiKey): Promise<void> {
  const inserted = await client.query(
    `INSERT INTO api_key (key_id, user_id, secret_hash, label, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
      ON CONFLICT (key_id) DO NOTHING`,
    [
      key.keyId,
      key.userId,
      key.secretHash,
      key.label,
      new Date(key.createdAt),
      key.expiresAt ? new Date(key.expiresAt) : null,
    ],
  );
  if (inserted.rowCount === 0)
    throw new GigvaultError('ALREADY_EXISTS', `API key ${key.keyId} exists already.`, {
      details: { key_id: key.keyId },
    });
}

/** Revokes every key of the user that is not; to be called in the transaction that says why. Returns their ids. */
export async function revokeKeysOf(
  client: PoolClient,
  userId: string,
  at: number,
): Promise<string[]> {
  const revoked = await client.query<{ key_id: string }>(
    'UPDATE api_key SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL RETURNING key_id',
    [userId, new Date(at)],
  );
  return revoked.rows.map((row) => row.key_id).sort();
}

/** API keys in PostgreSQL. */
export function pgApiKeyStore(pool: Pool, eventLog: EventLog): ApiKeyStore {
  return {
    create: (key, most, events) =>
      transaction(pool, async (client) => {
        const user = await client.query(LOCK_USER, [key.userId]);
        if (user.rowCount === 0) return 'user-inactive';
        const values = [key.userId, new Date(key.createdAt)];
        const { rows } = await client.query<{ keys: number }>(COUNT, values);
        if ((rows[0]?.keys ?? 0) >= most) return 'too-many';
        await insertApiKey(client, key);
        await eventLog.append(client, events);
        return 'created';
      }),

    async find(keyId) {
      const { rows } = await query<FoundRow>(pool, { ...FIND, values: [keyId] });
      const [row] = rows;
      return row && { key: { ...apiKeyOf(row), secretHash: row.secret_hash }, user: userOf(row) };
    },

    use: (keyId, at, events) =>
      transaction(pool, async (client) => {
        const used = await client.query({ ...USE, values: [keyId, new Date(at)] });
        if (used.rowCount === 0) return false;
        await eventLog.append(client, events);
        return true;
      }),

    async list(userId, at) {
      const values = [userId, new Date(at)];
      const { rows } = await query<ApiKeyRow>(pool, { text: LIST, values });
      return rows.map(apiKeyOf);
    },

    revoke: (keyId, at, events) =>
      transaction(pool, async (client) => {
        const revoked = await client.query(
          'UPDATE api_key SET revoked_at = $2 WHERE key_id = $1 AND revoked_at IS NULL',
          [keyId, new Date(at)],
        );
        if (revoked.rowCount !== 0) await eventLog.append(client, events);
      }),

    async revokedSince(time) {
      const values = [new Date(time)];
      const { rows } = await query<{ key_id: string }>(pool, { ...REVOKED_SINCE, values });
      return rows.map((row) => row.key_id);
    },

    async reap(before) {
      // least() passes over NULL.
      const text = 'DELETE FROM api_key WHERE least(revoked_at, expires_at) < $1';
      await query(pool, { text, values: [new Date(before)] });
    },
  };
}

function apiKeyOf(row: ApiKeyRow): ApiKey {
  return {
    keyId: row.key_id,
    userId: row.user_id,
    label: row.label,
    createdAt: row.key_created_at.getTime(),
    ...(row.expires_at ? { expiresAt: row.expires_at.getTime() } : {}),
    ...(row.last_used_at ? { lastUsedAt: row.last_used_at.getTime() } : {}),
    ...(row.revoked_at ? { revokedAt: row.revoked_at.getTime() } : {}),
  };
}
