import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import { approveDestruction } from '../destruction/approve-destruction.ts';
import { readKey } from '../keys/find-keys.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { keyId } from './key-json.ts';

const destructionSchema = z.strictObject({
  destroyAt: z.string().describe('RFC 3339, UTC: not before this'),
  requestedBy: z.string().optional().describe('As `owner` of a key is written'),
  approvedBy: z.array(z.string()).describe('Not who asked'),
  approvalsNeeded: z.int().min(0).describe('Without as many it is not destroyed'),
});

const KEY = {
  tag: 'Keys',
  params: z.strictObject({ keyId }),
  replies: { 200: destructionSchema },
  examples: {
    params: { keyId: 'my-key' },
    replies: {
      200: {
        destroyAt: '2026-02-07T12:00:00.000Z',
        requestedBy: 'user:3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
        approvedBy: ['user:8f14e45f-ceea-467f-ab2e-3c6a0d7e5b21'],
        approvalsNeeded: 1,
      },
    },
  },
} as const;

/** The REST operations on the destruction that a key waits for. */
export function destructionRoutes(deps: PersonDeps): HttpRoute[] {
  return [
    operation({
      ...KEY,
      operationId: 'getKeyDestruction',
      method: 'GET',
      path: '/keys/:keyId/destruction',
      summary: 'Who wants a key destroyed that waits for it',
      permission: 'keys:read',
      errors: {
        KEY_NOT_FOUND: "Key 'my-key' not found.",
        NOT_FOUND: "Key 'my-key' does not wait for its destruction.",
      },
      async handle({ params, principal }) {
        const key = await readKey(deps, params.keyId, principal!);
        return { status: 200, body: toJson(key, deps) };
      },
    }),
    operation({
      ...KEY,
      operationId: 'approveKeyDestruction',
      method: 'POST',
      path: '/keys/:keyId/destruction/approve',
      summary: 'Approve the destruction that somebody else asked for',
      description:
        'Where the configuration asks for approvals (`keymgr.destruction.approvals`) a key is not destroyed without as many people who are not the one who asked. A repetition changes nothing.',
      permission: 'keys:destroy',
      errors: {
        CONFLICT: "Key 'my-key' was changed by somebody else meanwhile.",
        KEY_NOT_FOUND: "Key 'my-key' not found.",
        KEY_STATE_REFUSED: "Key 'my-key' refused: no destruction waits for an approval.",
        KEY_USE_REFUSED: "Key 'my-key' refused: it is a key of a service.",
        SELF_APPROVAL: "Key 'my-key' refused: who asked for it does not approve it.",
      },
      async handle({ params, principal }) {
        const key = await approveDestruction(deps, params.keyId, principal!);
        return { status: 200, body: toJson(key, deps) };
      },
    }),
  ];
}

function toJson(
  { keyId: id, destroyAt, destroyBy }: StoredKey,
  { destructionApprovals }: PersonDeps,
): z.infer<typeof destructionSchema> {
  if (destroyAt === null)
    throw new GigvaultError('NOT_FOUND', `Key '${id}' does not wait for its destruction.`);
  const [requestedBy, ...approvedBy] = destroyBy;
  return {
    destroyAt: new Date(destroyAt).toISOString(),
    ...(requestedBy === undefined ? {} : { requestedBy }),
    approvedBy,
    approvalsNeeded: destructionApprovals,
  };
}
