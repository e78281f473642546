import { type HttpRoute, operation } from '@gigvault/http/route';
import { toPem } from '@gigvault/x509/pem';
import { z } from 'zod';
import { KEY_TYPES, type KeyDeps } from '../keys/create-key.ts';
import { getKey, listKeys } from '../keys/find-keys.ts';
import { generateUserKey } from '../keys/generate-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';

const keyId = z.string().regex(/^[A-Za-z0-9-]{1,255}$/, '1 to 255 letters, digits and dashes');

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

const EXAMPLE = {
  keyId: 'my-key',
  keyType: 'ec-p256',
  publicKey: '-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n',
  state: 'active',
  createdAt: '2026-01-31T12:00:00.000Z',
  owner: 'user:3f0c',
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
      tag: 'keys',
      summary: 'Generate a key pair; the private key stays in the backend',
      permission: 'keys:generate',
      body: z.strictObject({ keyId: keyId.optional(), keyType: z.enum(KEY_TYPES) }),
      replies: { 201: keySchema },
      example: { body: { keyId: 'my-key', keyType: 'ec-p256' }, reply: EXAMPLE },
      async handle({ body, principal }) {
        const key = await generateUserKey(deps, body, principal!);
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
      tag: 'keys',
      summary: 'List keys, by key id',
      permission: 'keys:read',
      query: z.strictObject({
        limit: z.coerce.number().int().min(1).max(1000).default(100),
        cursor: keyId.optional(),
      }),
      replies: { 200: z.strictObject({ items: z.array(keySchema), nextCursor: z.string() }) },
      example: { reply: { items: [EXAMPLE], nextCursor: '' } },
      async handle({ query: { limit, cursor = '' }, principal }) {
        const { tenantId } = principal!;
        const { items, nextCursor } = await listKeys(deps, { limit, cursor, tenantId });
        return { status: 200, body: { items: items.map(toJson), nextCursor } };
      },
    }),
    operation({
      operationId: 'getKey',
      method: 'GET',
      path: '/keys/:keyId',
      tag: 'keys',
      summary: 'Get a key’s facts and its public key',
      permission: 'keys:read',
      params: z.strictObject({ keyId }),
      replies: { 200: keySchema },
      example: { reply: EXAMPLE },
      handle: async ({ params, principal }) => ({
        status: 200,
        body: toJson(await getKey(deps, params.keyId, principal!.tenantId)),
      }),
    }),
  ];
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
