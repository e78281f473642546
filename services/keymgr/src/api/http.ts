import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { idempotencyKeyOf, requestIdOf } from '@gigvault/http/idempotency';
import { PAGE_QUERY, page, pageOf } from '@gigvault/http/paging';
import { type HttpRequest, type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import type { BackendTestDeps } from '../backends/test-backend.ts';
import { generateUserKey } from '../creation/generate-key.ts';
import { earlierVersions, listKeys, readKey } from '../keys/find-keys.ts';
import { requireKeySpec } from '../keys/key-spec.ts';
import { FIRST_STATES, type FirstState, KEY_STATES } from '../keys/key-state.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { backendName, backendRoutes } from './http-backends.ts';
import { destructionRoutes } from './http-destruction.ts';
import { encryptionRoutes } from './http-encryption.ts';
import { grantRoutes } from './http-grants.ts';
import { lifeRoutes } from './http-life.ts';
import { useRoutes } from './http-use.ts';
import {
  EXAMPLE,
  EXAMPLE_WAITING,
  EXAMPLE_WITH_VERSIONS,
  keyId,
  keySchema,
  keySpecSchema,
  keyWithVersionsSchema,
  toJson,
  toJsonWithVersions,
} from './key-json.ts';

type KeyRequest = z.infer<typeof generateBody>;

/** What a new key is asked for with. */
export const generateBody = keySpecSchema.extend({
  keyId: keyId.optional().describe('A random one when absent'),
  backend: backendName
    .optional()
    .describe('One of `GET /backends`; the one of new keys when absent'),
  state: z
    .enum(FIRST_STATES)
    .optional()
    .describe(
      '`active` when absent; a `pre-active` key is used for nothing until `POST /keys/{keyId}/state` makes it `active`',
    ),
});

/** Which keys are listed. */
export const listQuery = z.strictObject({
  ...PAGE_QUERY,
  state: z.enum(KEY_STATES).optional(),
  backend: backendName.optional().describe('Only those that are there'),
});

/** The REST operations on keys. Private keys have none. */
export function keyRoutes(deps: PersonDeps & BackendTestDeps): HttpRoute[] {
  return [
    generation(deps),
    operation({
      operationId: 'listKeys',
      method: 'GET',
      path: '/keys',
      tag: 'Keys',
      summary: 'List keys, by key id',
      permission: 'keys:read',
      query: listQuery,
      replies: { 200: pageOf(keySchema) },
      examples: {
        query: { limit: 50, state: 'deactivated' },
        replies: { 200: { items: [EXAMPLE_WAITING], nextCursor: EXAMPLE.keyId } },
      },
      errors: { NOT_FOUND: "There is no key backend 'hsm'; there is pkcs8." },
      async handle({ query, principal }) {
        const { tenantId, actor } = principal!;
        const { items, nextCursor } = await listKeys(deps, { ...query, tenantId, actor });
        return {
          status: 200,
          body: page(
            items.map((key) => toJson(key, deps.backends)),
            nextCursor,
          ),
        };
      },
    }),
    operation({
      operationId: 'getKey',
      method: 'GET',
      path: '/keys/:keyId',
      tag: 'Keys',
      summary: 'Get a key: its facts, its public key and its versions',
      permission: 'keys:read',
      params: z.strictObject({ keyId }),
      replies: { 200: keyWithVersionsSchema },
      examples: { params: { keyId: 'my-key' }, replies: { 200: EXAMPLE_WITH_VERSIONS } },
      errors: {
        INVALID_KEY_ID: 'A key id has 1 to 255 letters, digits and dashes.',
        KEY_NOT_FOUND: "Key 'my-key' not found.",
      },
      async handle({ params, principal }) {
        const key = await readKey(deps, params.keyId, principal!);
        return {
          status: 200,
          body: toJsonWithVersions(key, await earlierVersions(deps, key), deps.backends),
        };
      },
    }),
    ...destructionRoutes(deps),
    ...grantRoutes(deps),
    ...lifeRoutes(deps),
    ...useRoutes(deps),
    ...encryptionRoutes(deps),
    ...backendRoutes(deps),
  ];
}

function generation(deps: PersonDeps): HttpRoute {
  return operation({
    operationId: 'generateKey',
    method: 'POST',
    path: '/keys',
    tag: 'Keys',
    summary: 'Generate a key; what is secret of it stays in the backend',
    permission: 'keys:generate',
    body: generateBody,
    replies: { 201: keySchema },
    examples: {
      body: { keyId: 'my-key', keyType: 'ec-p256' },
      replies: { 201: EXAMPLE },
    },
    errors: {
      ALREADY_EXISTS: "Key 'my-key' already exists.",
      NOT_FOUND: "There is no key backend 'hsm'; there is pkcs8.",
      KEY_USE_REFUSED: "Key 'my-key' refused: the backend hsm is not for their roles.",
      INVALID_CURVE: 'The curve is P-256, P-384, P-521.',
      INVALID_HASH_ALGORITHM: 'The hash is SHA-256, SHA-384, SHA-512.',
      INVALID_KEY_ID: 'A key id has 1 to 255 letters, digits and dashes.',
      INVALID_KEY_SIZE: 'The size of keys of type rsa is 2048, 3072, 4096.',
      INVALID_KEY_TYPE: "Key type 'dsa-1024' is not one of ec-p256, ….",
      KEY_UNAVAILABLE:
        "Backend 'hsm': token 'pki' said CKR_DEVICE_ERROR. Look at: gigvault backends info hsm",
      OPERATION_NOT_SUPPORTED: "Backend 'hsm' makes no private keys that decrypt.",
    },
    location: 'The key, as `GET /keys/{keyId}` shows it',
    idempotencyKey:
      'Without a key id, a repetition by the same principal is answered with the key that it made. A key id of your own does as well: it is made once.',
    async handle(request) {
      const key = await generate(deps, request);
      return {
        status: 201,
        headers: { location: `/api/v1/keys/${key.keyId}` },
        body: toJson(key, deps.backends),
      };
    },
  });
}

/** With an Idempotency-Key and no id of its own, the key gets an id that a repetition finds again. */
async function generate(
  deps: PersonDeps,
  request: Pick<HttpRequest<never, never, KeyRequest>, 'body' | 'headers' | 'principal'>,
): Promise<StoredKey> {
  const { body, principal } = request;
  const { actor } = principal!;
  if (body.keyId !== undefined || idempotencyKeyOf(request) === undefined)
    return generateUserKey(deps, body, principal!);
  const { state = 'active' } = body;
  const ids = requestIds(actor, request);
  const id = ids[state];
  const other = ids[state === 'active' ? 'pre-active' : 'active'];
  if ((await deps.keys.find(other)) !== undefined) throw usedForAnother();
  try {
    return await generateUserKey(deps, { ...body, keyId: id }, principal!);
  } catch (error) {
    if (!(error instanceof GigvaultError) || error.code !== 'ALREADY_EXISTS') throw error;
    const made = await readKey(deps, id, principal!);
    const { keyType, usage } = requireKeySpec(body);
    // Who named no backend gets the key wherever it is: new ones may be made elsewhere since. No rotation moves it.
    const { backend = made.backend } = body;
    if (made.keyType === keyType && made.usage === usage && made.backend === backend) return made;
    throw usedForAnother();
  }
}

/** One id for each first state: what a key was made as cannot be seen in it once it was activated. */
function requestIds(
  actor: string,
  request: Pick<HttpRequest, 'headers'>,
): Readonly<Record<FirstState, string>> {
  return {
    active: requestIdOf(actor, 'key', request),
    'pre-active': requestIdOf(actor, 'key pre-active', request),
  };
}

function usedForAnother(): GigvaultError {
  return new GigvaultError('ALREADY_EXISTS', 'This Idempotency-Key was used for another request.');
}
