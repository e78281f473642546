import { type HttpRoute, operation } from '@gigvault/http/route';
import type { MasterKeyStatus } from '@gigvault/keystore/key-store';
import { z } from 'zod';
import {
  type MasterKeyDeps,
  masterKeyStatus,
  rotateMasterKey,
} from '../master-key/rotate-master-key.ts';
import { backendName } from './http-backends.ts';

/** What the operations on master keys need. */
export interface MasterKeyRoutesDeps extends MasterKeyDeps {
  /** A rotation has begun: whoever goes on with it does so now. */
  wake(): void;
}

const id = z.string().regex(/^[0-9a-f]{16}$/);
const count = z.int().min(0);
const statusSchema = z.strictObject({
  current: id.describe('The master key that new keys go under'),
  earlier: z.array(id).describe('Those of before that are still there'),
  keys: count,
  keysUnderEarlier: count.describe('0 when the last rotation is at its end'),
});

const EXAMPLE: z.infer<typeof statusSchema> = {
  current: '5f0c3a9be1d24776',
  earlier: ['1b77e0c29a4d5e03'],
  keys: 1200,
  keysUnderEarlier: 340,
};
const NOT_FOUND = "There is no key backend 'hsm'; there is pkcs8.";
const NOT_SUPPORTED = "Backend 'hsm' has no master key: its keys protect themselves.";

/** The REST operations on the master keys of backends. */
export function masterKeyRoutes(deps: MasterKeyRoutesDeps): HttpRoute[] {
  return [
    operation({
      operationId: 'getMasterKey',
      method: 'GET',
      path: '/backends/:name/master-key',
      tag: 'Keys',
      summary: 'Get which master key a backend has, and how far its rotation is',
      permission: 'keys:read',
      params: z.strictObject({ name: backendName }),
      replies: { 200: statusSchema },
      examples: { params: { name: 'pkcs8' }, replies: { 200: EXAMPLE } },
      errors: { NOT_FOUND, OPERATION_NOT_SUPPORTED: NOT_SUPPORTED },
      handle: async ({ params }) => ({
        status: 200,
        body: toJson(await masterKeyStatus(deps, params.name)),
      }),
    }),
    operation({
      operationId: 'rotateMasterKey',
      method: 'POST',
      path: '/backends/:name/master-key/rotate',
      tag: 'Keys',
      summary: 'Make a new master key, and put all keys of a backend under it',
      description:
        'The keys are put under it one by one, while they are used; the answer comes before.',
      permission: 'master-keys:rotate',
      params: z.strictObject({ name: backendName }),
      body: z.strictObject({
        replaces: id
          .optional()
          .describe('The master key to replace: a repetition then makes no second one'),
      }),
      replies: { 200: statusSchema },
      examples: {
        params: { name: 'pkcs8' },
        body: { replaces: '1b77e0c29a4d5e03' },
        replies: { 200: EXAMPLE },
      },
      errors: {
        NOT_FOUND,
        OPERATION_NOT_SUPPORTED: NOT_SUPPORTED,
        CONFLICT: 'The last rotation goes on: 340 keys are under an earlier master key.',
      },
      async handle({ params, body: { replaces }, principal }) {
        const asked = { backend: params.name, replaces };
        const status = await rotateMasterKey(deps, asked, principal!.actor);
        deps.wake();
        return { status: 200, body: toJson(status) };
      },
    }),
  ];
}

function toJson({ earlier, ...status }: MasterKeyStatus): z.infer<typeof statusSchema> {
  return { ...status, earlier: [...earlier] };
}
