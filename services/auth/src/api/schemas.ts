import { ROLE_NAMES } from '@gigvault/access/permissions';
import { PAGE_QUERY, pageOf } from '@gigvault/http/paging';
import { z } from 'zod';

/** Also those that turn the direction of a line: such texts are shown in terminals and logs. */
const CONTROL = /[\p{Cc}\u2028-\u202e\u2066-\u2069]/u;
const shownText = z
  .string()
  .refine((text) => !CONTROL.test(text), 'must not have control characters');

const time = z.iso.datetime().describe('RFC 3339, UTC');

/** One of the roles. */
export const role = z.enum(ROLE_NAMES);

/** POST /token. */
export const tokenRequest = z.strictObject({
  grantType: z.literal('client_credentials'),
  clientSecret: z.string().max(200).describe('An API key, gv_key_…'),
});

/** Reply of POST /token (RFC 6749 §5.1, in camelCase). */
export const tokenReply = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiresIn: z.number().int().describe('Seconds'),
});

/** POST /token as a form (RFC 6749 §4.4.2). Fields that it does not name are ignored (§3.2). */
export const tokenForm = z.object({
  grant_type: z.string(),
  client_id: z.string().max(200).optional().describe('Any text: the API key says whose it is'),
  client_secret: z
    .string()
    .max(200)
    .optional()
    .describe('An API key, gv_key_…; or send it as the password of HTTP Basic'),
  scope: z.string().max(200).optional().describe('There are none: leave it out'),
});

/** Reply to a form (RFC 6749 §5.1). */
export const tokenFormReply = z.object({
  access_token: z.string(),
  token_type: z.literal('Bearer'),
  expires_in: z.number().int().describe('Seconds'),
});

/** Refusal of a form (RFC 6749 §5.2). */
export const tokenFormError = z.object({
  error: z.enum([
    'invalid_client',
    'invalid_request',
    'invalid_scope',
    'server_error',
    'temporarily_unavailable',
    'unsupported_grant_type',
  ]),
  error_description: z.string(),
});

/** POST /setup. */
export const setupRequest = z.strictObject({
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
export const createUserRequest = z.strictObject({
  name: z.string().max(100).describe('1 to 64 letters, digits and . _ @ + -'),
  displayName: shownText.max(200).optional(),
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
export const userListReply = pageOf(userReply);

/** Paging of GET /users. */
export const pageQuery = z.strictObject(PAGE_QUERY);

/** A user's id or name in a path. */
export const userParams = z.strictObject({
  user: z.string().min(1).max(100).describe('Id or name'),
});

/** POST /api-keys. */
export const createApiKeyRequest = z.strictObject({
  label: shownText.trim().min(1).max(100),
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
export const keyParams = z.strictObject({ keyId: z.string().min(1).max(100) });

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
