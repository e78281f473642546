import { ROLES, type Role } from '@gigvault/access/permissions';
import { z } from 'zod';

const roleNames = Object.keys(ROLES) as [Role, ...Role[]];
const time = z.iso.datetime().describe('RFC 3339, UTC');

/** One of the roles. */
export const role = z.enum(roleNames);

/** POST /token. */
export const tokenRequest = z.object({
  grantType: z.literal('client_credentials'),
  clientSecret: z.string().max(200).describe('An API key, gv_key_…'),
});

/** Reply of POST /token (RFC 6749 §5.1, in camelCase). */
export const tokenReply = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiresIn: z.number().int().describe('Seconds'),
});

/** POST /setup. */
export const setupRequest = z.object({
  token: z.string().max(200).describe('A one-use setup token, gv_setup_…'),
  name: z.string().max(100).optional().describe("The first administrator's name; default admin"),
});

/** Reply of POST /setup. */
export const setupReply = z.object({
  userId: z.uuid(),
  name: z.string(),
  roles: z.array(role),
  apiKey: z.string().describe('Shown once'),
});

/** POST /users. */
export const createUserRequest = z.object({
  name: z.string().max(100),
  displayName: z.string().max(200).optional(),
  roles: z.array(role).min(1),
});

/** A user as the API shows it. */
export const userReply = z.object({
  userId: z.uuid(),
  name: z.string(),
  displayName: z.string(),
  roles: z.array(role),
  status: z.enum(['invited', 'active', 'disabled']),
  createdAt: time,
});

/** A user with the token to hand over. */
export const invitedUserReply = userReply.extend({
  setupToken: z.string().describe('Shown once, one use'),
  setupTokenExpiresAt: time,
});

/** A page of users. */
export const userListReply = z.object({
  items: z.array(userReply),
  nextCursor: z.string().optional(),
});

/** Paging of GET /users. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(100).default(''),
});

/** A user's id or name in a path. */
export const userParams = z.object({ user: z.string().min(1).max(100) });

/** POST /api-keys. */
export const createApiKeyRequest = z.object({
  label: z.string().trim().min(1).max(100),
  expiresIn: z
    .number()
    .int()
    .min(60)
    .max(10 * 366 * 86_400)
    .optional()
    .describe('Seconds; without it the key lives until revoked'),
});

/** An API key as the API shows it, without its secret. */
export const apiKeyReply = z.object({
  keyId: z.string(),
  label: z.string(),
  createdAt: time,
  expiresAt: time.optional(),
  lastUsedAt: time.optional(),
  revokedAt: time.optional(),
});

/** A new API key. */
export const newApiKeyReply = apiKeyReply.extend({ apiKey: z.string().describe('Shown once') });

/** The caller's API keys. */
export const apiKeyListReply = z.object({ items: z.array(apiKeyReply) });

/** A key's id in a path. */
export const keyParams = z.object({ keyId: z.string().min(1).max(100) });

/** Reply of GET /whoami. */
export const whoamiReply = z.object({
  userId: z.string(),
  name: z.string(),
  roles: z.array(z.string()),
  permissions: z.array(z.string()),
  tenantId: z.string(),
});

/** An empty reply. */
export const nothing = z.undefined();
