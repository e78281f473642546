import { type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import { readKey } from '../keys/find-keys.ts';
import { GRANTABLE_USES, MAX_GRANTS } from '../keys/key-grant.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { changeGrants } from '../life/change-grants.ts';
import { keyId } from './key-json.ts';

const version = z.int().min(0).max(2_147_483_646).describe('Of the list: counts its changes');

const grantSchema = z.strictObject({
  user: z
    .string()
    .regex(
      /^user:[A-Za-z0-9-]{1,64}$/,
      "must be user: and a user's id, as a key's owner is written",
    )
    .describe('Somebody of the same tenant, as `owner` of a key is written'),
  uses: z.array(z.enum(GRANTABLE_USES)).min(1).max(GRANTABLE_USES.length),
});

const grantsSchema = z.strictObject({
  version,
  grants: z.array(grantSchema).max(MAX_GRANTS),
});

const KEY = {
  tag: 'Keys',
  params: z.strictObject({ keyId }),
  replies: { 200: grantsSchema },
} as const;

const params = { keyId: 'my-key' };
const EXAMPLE: z.infer<typeof grantsSchema> = {
  version: 1,
  grants: [{ user: 'user:8f14e45f-ceea-467f-ab2e-3c6a0d7e5b21', uses: ['sign', 'verify'] }],
};

/** The REST operations on who may use a key besides its owner. */
export function grantRoutes(deps: PersonDeps): HttpRoute[] {
  return [
    operation({
      ...KEY,
      operationId: 'getKeyGrants',
      method: 'GET',
      path: '/keys/:keyId/grants',
      summary: 'List who may use a key besides its owner',
      permission: 'keys:read',
      examples: { params, replies: { 200: EXAMPLE } },
      errors: { KEY_NOT_FOUND: "Key 'my-key' not found." },
      async handle({ params: { keyId: id }, principal }) {
        return { status: 200, body: toJson(await readKey(deps, id, principal!)) };
      },
    }),
    operation({
      ...KEY,
      operationId: 'setKeyGrants',
      method: 'PUT',
      path: '/keys/:keyId/grants',
      summary: 'Say who may use a key besides its owner',
      description:
        'Replaces the list; once it is answered, who is no longer in it uses the key no more. For the owner and administrators. A grant gives what the person’s own permissions allow: to sign needs `keys:sign` as well.',
      permission: 'keys:grant',
      body: z.strictObject({
        grants: z.array(grantSchema).max(MAX_GRANTS),
        version: version
          .optional()
          .describe('The version of the list to replace: a change that came between is not lost'),
      }),
      examples: {
        params,
        body: { grants: EXAMPLE.grants, version: 0 },
        replies: { 200: EXAMPLE },
      },
      errors: {
        CONFLICT: "Key 'my-key' was changed by somebody else meanwhile.",
        KEY_NOT_FOUND: "Key 'my-key' not found.",
        KEY_USE_REFUSED: "Key 'my-key' refused: it is a key of somebody else.",
      },
      async handle({ params: { keyId: id }, body, principal }) {
        return { status: 200, body: toJson(await changeGrants(deps, id, body, principal!)) };
      },
    }),
  ];
}

function toJson({ grants, grantsVersion }: StoredKey): z.infer<typeof grantsSchema> {
  return {
    version: grantsVersion,
    grants: grants.map(({ user, uses }) => ({ user, uses: [...uses] })),
  };
}
