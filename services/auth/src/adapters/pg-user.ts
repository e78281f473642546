import type { Role } from '@gigvault/access/permissions';
import type { NewSetupToken } from '../ports/setup-store.ts';
import type { User } from '../ports/user-store.ts';

/** Columns of `user_`, in the order of UserRow. */
export const USER_COLUMNS = 'user_id, name, display_name, roles, status, tenant_id, created_at';

/** A row of `user_`. */
export interface UserRow {
  readonly user_id: string;
  readonly name: string;
  readonly display_name: string;
  readonly roles: Role[];
  readonly status: User['status'];
  readonly tenant_id: string;
  readonly created_at: Date;
}

/** The user of a row. */
export function userOf(row: UserRow): User {
  return {
    userId: row.user_id,
    name: row.name,
    displayName: row.display_name,
    roles: row.roles,
    status: row.status,
    tenantId: row.tenant_id,
    createdAt: row.created_at.getTime(),
  };
}

/** Values for USER_COLUMNS. */
export function userValues(user: User): unknown[] {
  const { userId, name, displayName, roles, status, tenantId, createdAt } = user;
  return [userId, name, displayName, roles, status, tenantId, new Date(createdAt)];
}

/** Inserts a setup token for a user, or for the first administrator when the user is null. */
export const INSERT_SETUP_TOKEN = `
  INSERT INTO setup_token (token_hash, user_id, roles, expires_at) VALUES ($1, $2, $3, $4)`;

/** Values for INSERT_SETUP_TOKEN. */
export function setupTokenValues(token: NewSetupToken, userId: string | null): unknown[] {
  return [token.tokenHash, userId, token.roles, new Date(token.expiresAt)];
}
