import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { isUuid } from '@gigvault/ids/uuid';
import type { Pool } from 'pg';
import type { UserStore } from '../ports/user-store.ts';
import { revokeKeysOf } from './pg-api-key-store.ts';
import {
  INSERT_SETUP_TOKEN,
  setupTokenValues,
  USER_COLUMNS,
  type UserRow,
  userOf,
  userValues,
} from './pg-user.ts';

const ACTIVE_ADMINISTRATORS = `SELECT user_id FROM user_ WHERE status = 'active' AND roles @> '{admin}'
  ORDER BY user_id FOR NO KEY UPDATE`;

/** Users in PostgreSQL. */
export function pgUserStore(pool: Pool, eventLog: EventLog): UserStore {
  return {
    create: (user, setupToken, events) =>
      transaction(pool, async (client) => {
        const inserted = await client.query(
          `INSERT INTO user_ (${USER_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING`,
          userValues(user),
        );
        if (inserted.rowCount === 0)
          throw new GigvaultError('ALREADY_EXISTS', `User ${user.name} exists already.`);
        await client.query(INSERT_SETUP_TOKEN, setupTokenValues(setupToken, user.userId));
        await eventLog.append(client, events);
      }),

    async find(idOrName) {
      const column = isUuid(idOrName) ? 'user_id' : 'name';
      const text = `SELECT ${USER_COLUMNS} FROM user_ WHERE ${column} = $1`;
      const { rows } = await query<UserRow>(pool, { text, values: [idOrName] });
      const [row] = rows;
      return row && userOf(row);
    },

    async list({ limit, after }) {
      const text = `SELECT ${USER_COLUMNS} FROM user_ WHERE name > $1 ORDER BY name LIMIT $2`;
      const { rows } = await query<UserRow>(pool, { text, values: [after, limit] });
      return rows.map(userOf);
    },

    disable: (userId, at, events) =>
      transaction(pool, async (client) => {
        // Locked in order: of two administrators who disable each other, the second finds out here.
        const administrators = await client.query<{ user_id: string }>(ACTIVE_ADMINISTRATORS);
        if (administrators.rowCount === 1 && administrators.rows[0]?.user_id === userId)
          return false;
        const disabled = await client.query(
          `UPDATE user_ SET status = 'disabled' WHERE user_id = $1 AND status <> 'disabled'`,
          [userId],
        );
        if (disabled.rowCount === 0) return true;
        const revokedKeyIds = await revokeKeysOf(client, userId, at);
        await client.query('DELETE FROM setup_token WHERE user_id = $1 AND redeemed_at IS NULL', [
          userId,
        ]);
        await eventLog.append(client, events(revokedKeyIds));
        return true;
      }),

    invite: (userId, setupToken, events) =>
      transaction(pool, async (client) => {
        const user = await client.query(
          `UPDATE user_ SET status = 'invited' WHERE user_id = $1 AND status <> 'active' RETURNING user_id`,
          [userId],
        );
        if (user.rowCount === 0) return false;
        await client.query('DELETE FROM setup_token WHERE user_id = $1 AND redeemed_at IS NULL', [
          userId,
        ]);
        await client.query(INSERT_SETUP_TOKEN, setupTokenValues(setupToken, userId));
        await eventLog.append(client, events);
        return true;
      }),
  };
}
