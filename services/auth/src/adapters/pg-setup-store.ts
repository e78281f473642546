import type { Role } from '@gigvault/access/permissions';
import type { EventLog } from '@gigvault/database/event-log';
import { query } from '@gigvault/database/query';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Pool, PoolClient } from 'pg';
import type { Bootstrap, Redemption, SetupStore } from '../ports/setup-store.ts';
import type { User } from '../ports/user-store.ts';
import { insertApiKey, revokeKeysOf } from './pg-api-key-store.ts';
import {
  INSERT_SETUP_TOKEN,
  setupTokenValues,
  USER_COLUMNS,
  type UserRow,
  userOf,
  userValues,
} from './pg-user.ts';

interface Grant {
  readonly user_id: string | null;
  readonly roles: Role[];
}

/** Setup tokens in PostgreSQL. */
export function pgSetupStore(pool: Pool, eventLog: EventLog): SetupStore {
  return {
    redeem: (redemption) =>
      transaction(pool, async (client) => {
        // The user before the token, as whoever disables or invites does: no two wait for each other.
        await client.query(LOCK_INVITED, [redemption.tokenHash]);
        const grant = await claimToken(client, redemption);
        if (!grant) return undefined;
        const user = grant.user_id
          ? await activateUser(client, grant.user_id)
          : await createAdministrator(client, redemption, grant.roles);
        if (!user) return undefined;
        // None, unless a fault of ours left one: a key of before must not wake up with its user.
        const revokedKeyIds = await revokeKeysOf(client, user.userId, redemption.at);
        await insertApiKey(client, { ...redemption.apiKey, userId: user.userId });
        await eventLog.append(client, redemption.events(user, revokedKeyIds));
        return user;
      }),

    bootstrap: (bootstrap) =>
      transaction(pool, async (client) => {
        // This upsert locks the operator's row, so that two bootstraps follow one another.
        const { user_id: userId, created } = await upsertOperator(client, bootstrap.operator);
        const revoked = await client.query<{ key_id: string }>(
          'UPDATE api_key SET revoked_at = $2 WHERE user_id = $1 AND label = $3 AND revoked_at IS NULL RETURNING key_id',
          [userId, new Date(bootstrap.at), bootstrap.apiKey.label],
        );
        await insertApiKey(client, { ...bootstrap.apiKey, userId });
        const done = {
          userId,
          userCreated: created,
          revokedKeyIds: revoked.rows.map((row) => row.key_id),
          setupTokenCreated: await replaceFirstToken(client, userId, bootstrap),
        };
        await eventLog.append(client, bootstrap.events(done));
        return done;
      }),

    async reap(before) {
      await query(pool, {
        text: 'DELETE FROM setup_token WHERE redeemed_at IS NULL AND expires_at < $1',
        values: [new Date(before)],
      });
    },
  };
}

const LOCK_INVITED = `SELECT 1 FROM user_
  WHERE user_id = (SELECT user_id FROM setup_token WHERE token_hash = $1) FOR NO KEY UPDATE`;

async function claimToken(
  client: PoolClient,
  { tokenHash, at }: Redemption,
): Promise<Grant | undefined> {
  const claimed = await client.query<Grant>(
    `UPDATE setup_token SET redeemed_at = $2 WHERE token_hash = $1 AND redeemed_at IS NULL AND expires_at > $2
     RETURNING user_id, roles`,
    [tokenHash, new Date(at)],
  );
  return claimed.rows[0];
}

async function activateUser(client: PoolClient, userId: string): Promise<User | undefined> {
  const activated = await client.query<UserRow>(
    `UPDATE user_ SET status = 'active' WHERE user_id = $1 AND status = 'invited' RETURNING ${USER_COLUMNS}`,
    [userId],
  );
  return activated.rows[0] && userOf(activated.rows[0]);
}

/** Throws ALREADY_EXISTS, which gives the token back: the transaction is undone. */
async function createAdministrator(
  client: PoolClient,
  { newUser, at }: Redemption,
  roles: Role[],
): Promise<User> {
  const { userId, name } = newUser;
  const user: User = {
    userId,
    name,
    displayName: name,
    roles,
    status: 'active',
    tenantId: 'default',
    createdAt: at,
  };
  const inserted = await client.query(
    `INSERT INTO user_ (${USER_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING`,
    userValues(user),
  );
  if (inserted.rowCount === 0)
    throw new GigvaultError('ALREADY_EXISTS', `User ${name} exists already.`);
  return user;
}

async function upsertOperator(
  client: PoolClient,
  operator: User,
): Promise<{ user_id: string; created: boolean }> {
  const found = await client.query<{ user_id: string; created: boolean }>(
    `INSERT INTO user_ (${USER_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (name) DO UPDATE SET status = 'active', roles = EXCLUDED.roles
     RETURNING user_id, xmax = 0 AS created`,
    userValues(operator),
  );
  const row = found.rows[0];
  if (!row) throw new Error('An upsert returned no row.');
  return row;
}

/** False when a human administrator exists. The deletion waits for a redemption in flight; the insertion then sees its user. */
async function replaceFirstToken(
  client: PoolClient,
  operatorId: string,
  { setupToken }: Bootstrap,
): Promise<boolean> {
  await client.query('DELETE FROM setup_token WHERE user_id IS NULL AND redeemed_at IS NULL');
  const others = await client.query(
    `SELECT 1 FROM user_ WHERE status = 'active' AND roles @> '{admin}' AND user_id <> $1 LIMIT 1`,
    [operatorId],
  );
  if (others.rowCount !== 0) return false;
  await client.query(INSERT_SETUP_TOKEN, setupTokenValues(setupToken, null));
  return true;
}
