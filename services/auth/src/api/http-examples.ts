import type { z } from 'zod';
import type * as schemas from './schemas.ts';

const ACCESS_TOKEN = 'eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9…';
const API_KEY = 'gv_key_0123456789abcdef_…';
const SETUP_TOKEN = 'gv_setup_…';

const USER: z.infer<typeof schemas.userReply> = {
  userId: '3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
  name: 'ada',
  displayName: 'Ada Lovelace',
  roles: ['requester'],
  status: 'active',
  createdAt: '2026-11-21T10:00:00.000Z',
};

const INVITED: z.infer<typeof schemas.invitedUserReply> = {
  ...USER,
  status: 'invited',
  setupToken: SETUP_TOKEN,
  setupTokenExpiresAt: '2026-11-21T10:30:00.000Z',
};

const KEY: z.infer<typeof schemas.apiKeyReply> = {
  keyId: '0123456789abcdef',
  label: 'deploy pipeline',
  createdAt: '2026-11-21T10:00:00.000Z',
  expiresAt: '2027-02-19T10:00:00.000Z',
};

const WHOAMI: z.infer<typeof schemas.whoamiReply> = {
  userId: USER.userId,
  name: 'ada',
  roles: ['requester'],
  permissions: ['certificates:create', 'certificates:read'],
  tenantId: 'default',
};

/** Of each operation, as the API's document shows it. */
export const EXAMPLES = {
  createToken: {
    body: { grantType: 'client_credentials', clientSecret: API_KEY },
    replies: { 200: { accessToken: ACCESS_TOKEN, tokenType: 'Bearer', expiresIn: 900 } },
  },
  tokenForm: {
    body: { grant_type: 'client_credentials', client_id: 'ada', client_secret: API_KEY },
    reply: { access_token: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 900 },
    error: { error: 'invalid_client', error_description: 'The API key is not valid.' },
  },
  redeemSetupToken: {
    body: { token: SETUP_TOKEN, name: 'ada' },
    replies: { 201: { userId: USER.userId, name: 'ada', roles: ['admin'], apiKey: API_KEY } },
  },
  whoami: { replies: { 200: WHOAMI } },
  createUser: {
    body: { name: 'ada', displayName: 'Ada Lovelace', roles: ['requester'] },
    replies: { 201: INVITED },
  },
  listUsers: { query: { limit: 50 }, replies: { 200: { items: [USER], nextCursor: 'ada' } } },
  getUser: { params: { user: 'ada' }, replies: { 200: USER } },
  disableUser: { params: { user: 'ada' }, replies: { 200: { ...USER, status: 'disabled' } } },
  createSetupToken: { params: { user: 'ada' }, replies: { 201: INVITED } },
  createApiKey: {
    body: { label: 'deploy pipeline', expiresIn: 7_776_000 },
    replies: { 201: { ...KEY, apiKey: API_KEY } },
  },
  listApiKeys: { replies: { 200: { items: [{ ...KEY, lastUsedAt: KEY.createdAt }] } } },
  revokeApiKey: { params: { keyId: KEY.keyId }, replies: {} },
} as const;

const NO_USER = { USER_NOT_FOUND: 'There is no user "ada".' };
const REFUSED_KEY = { UNAUTHENTICATED: 'The API key is not valid.' };

/** Errors of each operation, beyond those that all have. */
export const ERRORS = {
  createToken: REFUSED_KEY,
  redeemSetupToken: {
    ALREADY_EXISTS: 'User ada exists already.',
    UNAUTHENTICATED: 'The setup token is not valid: it is wrong, used or expired.',
  },
  createUser: {
    ALREADY_EXISTS: 'User ada exists already.',
    FORBIDDEN: 'You do not hold the role admin and cannot give it.',
  },
  getUser: NO_USER,
  disableUser: { ...NO_USER, FORBIDDEN: 'ada is the last administrator who is active.' },
  createSetupToken: {
    ...NO_USER,
    CONFLICT: 'User ada is active. To help someone who lost the API key, disable the user first.',
    FORBIDDEN: 'This user has roles that you do not hold.',
  },
  createApiKey: {
    ALREADY_EXISTS:
      'This Idempotency-Key made an API key before. Its secret was shown then and is not stored: revoke that key and make another.',
    FORBIDDEN: 'You have 100 API keys that work. Revoke one that you do not use.',
  },
  revokeApiKey: { NOT_FOUND: 'There is no API key "0123456789abcdef".' },
} as const;
