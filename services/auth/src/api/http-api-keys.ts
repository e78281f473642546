import { type HttpRoute, operation } from '@gigvault/http/route';
import { type ApiKeyDeps, createApiKey, userIdOf } from '../api-keys/create-api-key.ts';
import { revokeApiKey } from '../api-keys/revoke-api-key.ts';
import type { ApiKey } from '../ports/api-key-store.ts';
import { callerOf, NO_STORE, rfc3339 } from './http-reply.ts';
import * as schemas from './schemas.ts';

/** What the operations on API keys need. */
export type ApiKeyHttpDeps = ApiKeyDeps;

const apiKeys = { tag: 'API keys', permission: 'signed-in' } as const;

/** The operations on the caller's own API keys. */
export function apiKeyRoutes(deps: ApiKeyHttpDeps): HttpRoute[] {
  return [createRoute(deps), listRoute(deps), revokeRoute(deps)];
}

function createRoute(deps: ApiKeyHttpDeps): HttpRoute {
  return operation({
    ...apiKeys,
    operationId: 'createApiKey',
    method: 'POST',
    path: '/api-keys',
    summary: 'Create an API key of your own; the secret is shown once',
    body: schemas.createApiKeyRequest,
    replies: { 201: schemas.newApiKeyReply },
    example: { body: { label: 'deploy pipeline', expiresIn: 7_776_000 } },
    handle: async (request) => {
      const { key, secret } = await createApiKey(deps, callerOf(request), request.body);
      return { status: 201, headers: NO_STORE, body: { ...showKey(key), apiKey: secret } };
    },
  });
}

function listRoute(deps: ApiKeyHttpDeps): HttpRoute {
  return operation({
    ...apiKeys,
    operationId: 'listApiKeys',
    method: 'GET',
    path: '/api-keys',
    summary: 'List your API keys, newest first',
    replies: { 200: schemas.apiKeyListReply },
    handle: async (request) => {
      const keys = await deps.apiKeys.list(userIdOf(callerOf(request)));
      return { status: 200, body: { items: keys.map(showKey) } };
    },
  });
}

function revokeRoute(deps: ApiKeyHttpDeps): HttpRoute {
  return operation({
    ...apiKeys,
    operationId: 'revokeApiKey',
    method: 'DELETE',
    path: '/api-keys/:keyId',
    summary: 'Revoke an API key: it stops to work at once',
    params: schemas.keyParams,
    replies: { 204: schemas.nothing },
    handle: async (request) => {
      await revokeApiKey(deps, callerOf(request), request.params.keyId);
      return { status: 204 };
    },
  });
}

function showKey({ keyId, label, createdAt, expiresAt, lastUsedAt, revokedAt }: ApiKey): object {
  return {
    keyId,
    label,
    createdAt: rfc3339(createdAt),
    ...(expiresAt === undefined ? {} : { expiresAt: rfc3339(expiresAt) }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt: rfc3339(lastUsedAt) }),
    ...(revokedAt === undefined ? {} : { revokedAt: rfc3339(revokedAt) }),
  };
}
