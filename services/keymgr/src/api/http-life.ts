import { type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import { scheduleDestruction, undoDestruction } from '../destruction/schedule-destruction.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { changeState, SETTABLE_STATES } from '../life/change-state.ts';
import { rotateKey } from '../life/rotate-key.ts';
import { EXAMPLE, EXAMPLE_WAITING, keyId, keySchema, toJson, version } from './key-json.ts';

const KEY = {
  tag: 'Keys',
  params: z.strictObject({ keyId }),
  replies: { 200: keySchema },
} as const;

const ERRORS = {
  CONFLICT: "Key 'my-key' was changed by somebody else meanwhile.",
  INVALID_KEY_ID: 'A key id has 1 to 255 letters, digits and dashes.',
  KEY_NOT_FOUND: "Key 'my-key' not found.",
  KEY_USE_REFUSED: "Key 'my-key' refused: it is a key of a service.",
} as const;

const params = { keyId: 'my-key' };
/** The REST operations on what becomes of a key. */
export function lifeRoutes(deps: PersonDeps): HttpRoute[] {
  return [rotation(deps), stateChange(deps), destruction(deps), undo(deps)];
}

function rotation(deps: PersonDeps): HttpRoute {
  return operation({
    ...KEY,
    operationId: 'rotateKey',
    method: 'POST',
    path: '/keys/:keyId/rotate',
    summary: 'Make a new version of a key, which signs or encrypts from now on',
    description:
      'The key is active. Signatures of earlier versions still verify, and what they encrypted still decrypts.',
    permission: 'keys:rotate',
    body: z.strictObject({
      version: version
        .optional()
        .describe('The version to replace: a repetition then makes no second one'),
    }),
    examples: { params, body: { version: 1 }, replies: { 200: { ...EXAMPLE, version: 2 } } },
    errors: {
      ...ERRORS,
      CONFLICT: "Key 'my-key' is at version 2, not 1.",
      KEY_STATE_REFUSED: "Key 'my-key' refused: key is suspended.",
      KEY_UNAVAILABLE: 'Key directory cannot be read and written.',
      OPERATION_NOT_SUPPORTED: "The token makes no keys of type 'ed25519'.",
    },
    async handle({ params: { keyId: id }, body, principal }) {
      return {
        status: 200,
        body: toJson(await rotateKey(deps, id, body.version, principal!), deps.backends),
      };
    },
  });
}

function stateChange(deps: PersonDeps): HttpRoute {
  return operation({
    ...KEY,
    operationId: 'changeKeyState',
    method: 'POST',
    path: '/keys/:keyId/state',
    summary: 'Activate a key, suspend it, or end its use for ever',
    description:
      'A key that was made `pre-active` becomes `active`. From `suspended` it comes back to `active`; from `deactivated` and `compromised` it does not. Nothing happens when it is in that state.',
    permission: 'keys:disable',
    body: z.strictObject({
      state: z.enum(SETTABLE_STATES),
      reason: z.string().max(500).default('').describe('Why, for the audit log'),
    }),
    examples: {
      params,
      body: { state: 'suspended', reason: 'lost laptop' },
      replies: { 200: { ...EXAMPLE, state: 'suspended' } },
    },
    errors: {
      ...ERRORS,
      KEY_STATE_REFUSED: "Key 'my-key' refused: a key that is compromised does not become active.",
    },
    async handle({ params: { keyId: id }, body, principal }) {
      return {
        status: 200,
        body: toJson(await changeState(deps, id, body, principal!), deps.backends),
      };
    },
  });
}

function destruction(deps: PersonDeps): HttpRoute {
  return operation({
    ...KEY,
    operationId: 'destroyKey',
    method: 'DELETE',
    path: '/keys/:keyId',
    summary: 'Take a key out of use now and destroy it after a wait',
    description:
      'All its private keys are destroyed at `destroyAt`, or soon after. Until then `restore` undoes it. Its public keys stay. A repetition changes nothing.',
    permission: 'keys:destroy',
    examples: { params, replies: { 200: EXAMPLE_WAITING } },
    errors: ERRORS,
    async handle({ params: { keyId: id }, principal }) {
      return {
        status: 200,
        body: toJson(await scheduleDestruction(deps, id, principal!), deps.backends),
      };
    },
  });
}

function undo(deps: PersonDeps): HttpRoute {
  return operation({
    ...KEY,
    operationId: 'restoreKey',
    method: 'POST',
    path: '/keys/:keyId/restore',
    summary: 'Undo the destruction of a key while it waits for it',
    permission: 'keys:destroy',
    examples: { params, replies: { 200: EXAMPLE } },
    errors: {
      ...ERRORS,
      KEY_STATE_REFUSED: "Key 'my-key' refused: its destruction has begun.",
    },
    async handle({ params: { keyId: id }, principal }) {
      return {
        status: 200,
        body: toJson(await undoDestruction(deps, id, principal!), deps.backends),
      };
    },
  });
}
