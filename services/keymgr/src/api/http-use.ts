import { type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import { KEY_STATES } from '../keys/key-state.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { SIGNATURE_ALGORITHMS } from '../signing/person-algorithm.ts';
import { MAX_DATA, signForPerson } from '../signing/sign-for-person.ts';
import { verifyForPerson } from '../signing/verify-for-person.ts';
import { keyId, octets, version } from './key-json.ts';

const data = octets(1, MAX_DATA).describe(
  `The data itself, not a digest: base64 of 1 to ${MAX_DATA} octets`,
);
/** How ECDSA signatures are written. */
export const format = z
  .enum(['der', 'p1363'])
  .default('der')
  .describe('Of ECDSA signatures: a DER SEQUENCE, or r and s side by side');
const signature = z.base64().min(1).max(8_000).describe('Base64');
const hash = z
  .string()
  .max(100)
  .optional()
  .describe('As SHA-256; only the one that the type of the key has. Absent: that one');

const signatureSchema = z.strictObject({
  keyId,
  version: version.describe('The version of the key that signed'),
  algorithm: z.enum(Object.values(SIGNATURE_ALGORITHMS)),
  signature,
});

const verdictSchema = z.strictObject({
  valid: z.boolean(),
  version: version.optional().describe('The version of the key that verifies it'),
  state: z
    .enum(KEY_STATES)
    .describe('Of the key: whoever relies on one that is not active should know why'),
});

const DATA = 'dG8gYmUgc2lnbmVk';
const SIGNATURE = 'MEUCIQDoAAAA';

/** The REST operations that use a key. */
export function useRoutes(deps: PersonDeps): HttpRoute[] {
  return [signing(deps), verification(deps)];
}

function signing(deps: PersonDeps): HttpRoute {
  return operation({
    operationId: 'signData',
    method: 'POST',
    path: '/keys/:keyId/sign',
    tag: 'Keys',
    summary: 'Sign data with the current version of a key',
    description:
      'The data is hashed with the hash of the key’s type; a key of type HMAC makes the MAC. With a key of somebody else administrators sign, and whom its owner granted it; with keys of services nobody.',
    permission: 'keys:sign',
    params: z.strictObject({ keyId }),
    body: z.strictObject({ data, format, hash }),
    replies: { 200: signatureSchema },
    examples: {
      params: { keyId: 'my-key' },
      body: { data: DATA, format: 'der' },
      replies: {
        200: {
          keyId: 'my-key',
          version: 1,
          algorithm: 'ecdsa-with-SHA256',
          signature: SIGNATURE,
        },
      },
    },
    errors: {
      INVALID_HASH_ALGORITHM: 'The hash is SHA-256.',
      INVALID_KEY_ID: 'A key id has 1 to 255 letters, digits and dashes.',
      KEY_LOST:
        "The private key of this version is not in its backend 'scratch' any more. Rotate the key, or destroy it.",
      KEY_NOT_FOUND: "Key 'my-key' not found.",
      KEY_USE_REFUSED: "Key 'my-key' refused: key is suspended.",
      KEY_UNAVAILABLE: "Key 'my-key' gave a wrong signature.",
    },
    async handle({ params, body, principal }) {
      const request = { ...body, data: Buffer.from(body.data, 'base64') };
      const signed = await signForPerson(deps, params.keyId, request, principal!);
      return {
        status: 200,
        body: { keyId: params.keyId, ...signed, signature: signed.signature.toString('base64') },
      };
    },
  });
}

function verification(deps: PersonDeps): HttpRoute {
  return operation({
    operationId: 'verifySignature',
    method: 'POST',
    path: '/keys/:keyId/verify',
    tag: 'Keys',
    summary: 'Verify a signature with the versions of a key',
    permission: 'keys:read',
    params: z.strictObject({ keyId }),
    body: z.strictObject({
      data,
      signature,
      format,
      hash,
      version: version
        .optional()
        .describe('Only this one; else the current one, then up to 99 earlier ones'),
    }),
    replies: { 200: verdictSchema },
    examples: {
      params: { keyId: 'my-key' },
      body: { data: DATA, signature: SIGNATURE, format: 'der' },
      replies: { 200: { valid: true, version: 1, state: 'active' } },
    },
    errors: {
      INVALID_HASH_ALGORITHM: 'The hash is SHA-256.',
      INVALID_KEY_ID: 'A key id has 1 to 255 letters, digits and dashes.',
      KEY_LOST:
        "The private key of this version is not in its backend 'scratch' any more. Rotate the key, or destroy it.",
      KEY_NOT_FOUND: "Key 'my-key' has no version 7.",
      KEY_USE_REFUSED: "Key 'my-key' refused: key is destroyed.",
    },
    async handle({ params, body, principal }) {
      const request = {
        data: Buffer.from(body.data, 'base64'),
        signature: Buffer.from(body.signature, 'base64'),
        format: body.format,
        hash: body.hash,
        version: body.version,
      };
      return {
        status: 200,
        body: await verifyForPerson(deps, params.keyId, request, principal!),
      };
    },
  });
}
