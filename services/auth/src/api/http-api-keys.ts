import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { idempotencyKeyOf, requestIdOf } from '@gigvault/http/idempotency';
import { type HttpRequest, type Operation, operation } from '@gigvault/http/route';
import type { z } from 'zod';
import { type ApiKeyDeps, createApiKey, userIdOf } from '../api-keys/create-api-key.ts';
import { revokeApiKey } from '../api-keys/revoke-api-key.ts';
import type { ApiKey } from '../ports/api-key-store.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import { callerOf, NO_STORE, rfc3339 } from './http-reply.ts';
import * as schemas from './schemas.ts';

/** What the operations on API keys need. */
export type ApiKeyHttpDeps = ApiKeyDeps;

const apiKeys = { tag: 'API keys', permission: 'signed-in' } as const;

/** The operations on the caller's own API keys. */
export function apiKeyRoutes(deps: ApiKeyHttpDeps): Operation[] {
  return [createRoute(deps), listRoute(deps), revokeRoute(deps)];
}

function createRoute(deps: ApiKeyHttpDeps): Operation {
  return operation({
    ...apiKeys,
    operationId: 'createApiKey',
    method: 'POST',
    path: '/api-keys',
    summary: 'Create an API key of your own; the secret is shown once',
    body: schemas.createApiKeyRequest,
    replies: { 201: schemas.newApiKeyReply },
    examples: EXAMPLES.createApiKey,
    errors: ERRORS.createApiKey,
    idempotencyKey:
      'A repetition by the same user makes no second key. It is refused (409), because the secret of the first is not stored.',
    handle: async (request) => {
      const { key, secret } = await createOnce(deps, request);
      return { status: 201, headers: NO_STORE, body: { ...showKey(key), apiKey: secret } };
    },
  });
}

function listRoute(deps: ApiKeyHttpDeps): Operation {
  return operation({
    ...apiKeys,
    operationId: 'listApiKeys',
    method: 'GET',
    path: '/api-keys',
    summary: 'List your API keys, newest first',
    replies: { 200: schemas.apiKeyListReply },
    examples: EXAMPLES.listApiKeys,
    handle: async (request) => {
      const keys = await deps.apiKeys.list(userIdOf(callerOf(request)), deps.clock.now());
      return { status: 200, body: { items: keys.map(showKey) } };
    },
  });
}

function revokeRoute(deps: ApiKeyHttpDeps): Operation {
  return operation({
    ...apiKeys,
    operationId: 'revokeApiKey',
    method: 'DELETE',
    path: '/api-keys/:keyId',
    summary: 'Revoke an API key: it stops to work at once',
    params: schemas.keyParams,
    replies: { 204: schemas.nothing },
    examples: EXAMPLES.revokeApiKey,
    errors: ERRORS.revokeApiKey,
    handle: async (request) => {
      await revokeApiKey(deps, callerOf(request), request.params.keyId);
      return { status: 204 };
    },
  });
}

/** With an Idempotency-Key, the key's id follows from it. */
async function createOnce(
  deps: ApiKeyHttpDeps,
  request: Pick<
    HttpRequest<never, never, z.infer<typeof schemas.createApiKeyRequest>>,
    'body' | 'headers' | 'principal'
  >,
) {
  const caller = callerOf(request);
  if (idempotencyKeyOf(request) === undefined) return createApiKey(deps, caller, request.body);
  const keyId = requestIdOf(caller.actor, 'api-key', request).replaceAll('-', '').slice(0, 16);
  return createApiKey(deps, caller, { ...request.body, keyId }).catch((error: unknown) => {
    if (!(error instanceof GigvaultError) || error.code !== 'ALREADY_EXISTS') throw error;
    const { details } = error;
    throw new GigvaultError(error.code, ERRORS.createApiKey.ALREADY_EXISTS, { details });
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
