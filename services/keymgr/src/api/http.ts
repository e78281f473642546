import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { idempotencyKeyOf, requestIdOf } from '@gigvault/http/idempotency';
import { PAGE_QUERY, page, pageOf } from '@gigvault/http/paging';
import { type HttpRequest, type HttpRoute, operation } from '@gigvault/http/route';
import { toPem } from '@gigvault/x509/pem';
import { z } from 'zod';
import { KEY_TYPES, type KeyDeps } from '../keys/create-key.ts';
import { getKey, listKeys } from '../keys/find-keys.ts';
import { generateUserKey } from '../keys/generate-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';

const keyId = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,255}$/, 'must be 1 to 255 letters, digits and dashes');

const keySchema = z.strictObject({
  keyId,
  keyType: z.string(),
  publicKey: z.string().describe('SubjectPublicKeyInfo, PEM'),
  state: z.enum(['pre-active', 'active', 'deactivated', 'destroyed']),
  createdAt: z.string().describe('RFC 3339, UTC'),
  owner: z.string(),
  purposes: z.array(z.string()),
  backend: z.string(),
});

type KeyRequest = z.infer<typeof generateBody>;

const generateBody = z.strictObject({
  keyId: keyId.optional().describe('A random one when absent'),
  keyType: z.enum(KEY_TYPES),
});

const EXAMPLE: z.infer<typeof keySchema> = {
  keyId: 'my-key',
  keyType: 'ec-p256',
  publicKey: '-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n',
  state: 'active',
  createdAt: '2026-01-31T12:00:00.000Z',
  owner: 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
  purposes: [],
  backend: 'pkcs8',
};

/** The REST operations on keys. Private keys have none. */
export function keyRoutes(deps: KeyDeps): HttpRoute[] {
  return [
    operation({
      operationId: 'generateKey',
      method: 'POST',
      path: '/keys',
      tag: 'Keys',
      summary: 'Generate a key pair; the private key stays in the backend',
      permission: 'keys:generate',
      body: generateBody,
      replies: { 201: keySchema },
      examples: {
        body: { keyId: 'my-key', keyType: 'ec-p256' },
        replies: { 201: EXAMPLE },
      },
      errors: { ALREADY_EXISTS: "Key 'my-key' already exists." },
      location: 'The key, as `GET /keys/{keyId}` shows it',
      idempotencyKey:
        'Without a key id, a repetition by the same principal is answered with the key that it made. A key id of your own does as well: it is made once.',
      async handle(request) {
        const key = await generate(deps, request);
        return {
          status: 201,
          headers: { location: `/api/v1/keys/${key.keyId}` },
          body: toJson(key),
        };
      },
    }),
    operation({
      operationId: 'listKeys',
      method: 'GET',
      path: '/keys',
      tag: 'Keys',
      summary: 'List keys, by key id',
      permission: 'keys:read',
      query: z.strictObject(PAGE_QUERY),
      replies: { 200: pageOf(keySchema) },
      examples: {
        query: { limit: 50 },
        replies: { 200: { items: [EXAMPLE], nextCursor: EXAMPLE.keyId } },
      },
      async handle({ query: { limit, cursor }, principal }) {
        const { tenantId } = principal!;
        const { items, nextCursor } = await listKeys(deps, { limit, cursor, tenantId });
        return { status: 200, body: page(items.map(toJson), nextCursor) };
      },
    }),
    operation({
      operationId: 'getKey',
      method: 'GET',
      path: '/keys/:keyId',
      tag: 'Keys',
      summary: 'Get a key: its facts and its public key',
      permission: 'keys:read',
      params: z.strictObject({ keyId }),
      replies: { 200: keySchema },
      examples: { params: { keyId: 'my-key' }, replies: { 200: EXAMPLE } },
      errors: { KEY_NOT_FOUND: "Key 'my-key' not found." },
      handle: async ({ params, principal }) => ({
        status: 200,
        body: toJson(await getKey(deps, params.keyId, principal!.tenantId)),
      }),
    }),
  ];
}

/** With an Idempotency-Key and no id of its own, the key gets an id that a repetition finds again. */
async function generate(
  deps: KeyDeps,
  request: Pick<HttpRequest<never, never, KeyRequest>, 'body' | 'headers' | 'principal'>,
): Promise<StoredKey> {
  const { body, principal } = request;
  const { actor, tenantId } = principal!;
  if (body.keyId !== undefined || idempotencyKeyOf(request) === undefined)
    return generateUserKey(deps, body, principal!);
  const id = requestIdOf(actor, 'key', request);
  try {
    return await generateUserKey(deps, { ...body, keyId: id }, principal!);
  } catch (error) {
    if (!(error instanceof GigvaultError) || error.code !== 'ALREADY_EXISTS') throw error;
    const made = await getKey(deps, id, tenantId);
    if (made.publicKey.keyType === body.keyType) return made;
    throw new GigvaultError('ALREADY_EXISTS', 'This Idempotency-Key was used for another request.');
  }
}

function toJson(key: StoredKey): z.infer<typeof keySchema> {
  return {
    keyId: key.keyId,
    keyType: key.publicKey.keyType,
    publicKey: toPem('PUBLIC KEY', key.publicKey.spki),
    state: key.state,
    createdAt: new Date(key.createdAt).toISOString(),
    owner: key.owner,
    purposes: [...key.purposes],
    backend: key.backend,
  };
}
