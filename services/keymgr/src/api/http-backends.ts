import { type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import {
  ABILITIES,
  type BackendState,
  inspectBackend,
  inspectBackends,
  KEY_USES,
} from '../backends/inspect-backends.ts';
import { type BackendTestDeps, testBackend } from '../backends/test-backend.ts';
import { USAGES } from '../keys/stored-key.ts';

/** The name of a backend. */
export const backendName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name: a-z, 0-9 and dashes');
const milliseconds = z.number().min(0);

const backendSchema = z.strictObject({
  name: backendName,
  default: z.boolean().describe('New keys are made there'),
  healthy: z.boolean(),
  problem: z.string().optional().describe('Why it is not healthy'),
  latencyMs: milliseconds.describe('How long it took to answer'),
  type: z.enum(['memory', 'pkcs8', 'pkcs11', 'tpm2', 'aws-kms']),
  description: z.string().optional(),
  keyTypes: z.array(z.string()).optional().describe('What it makes and signs with'),
  abilities: z.array(z.enum(ABILITIES)).optional().describe('With keys of some type'),
  uses: z
    .array(z.strictObject({ keyType: z.string(), uses: z.array(z.enum(KEY_USES)) }))
    .optional()
    .describe('What is done with keys of each type; one key signs or encrypts, never both'),
  hardware: z.boolean().optional().describe('As the backend says it'),
  fips: z.boolean().optional().describe('FIPS mode; absent when the backend does not say'),
});

const testSchema = z.strictObject({
  keyType: z.string(),
  usage: z.enum(USAGES).describe('It signed and verified, or encrypted and decrypted'),
  generationMs: milliseconds,
  useMs: milliseconds.describe('Of one signature or MAC, or of one encryption'),
});

const EXAMPLE: z.infer<typeof backendSchema> = {
  name: 'pkcs8',
  default: true,
  healthy: true,
  latencyMs: 0.1,
  type: 'pkcs8',
  description: 'encrypted files in /var/lib/gigvault/services/keymgr/keys',
  keyTypes: ['ec-p256', 'ec-p384', 'rsa-2048'],
  abilities: [...ABILITIES],
  uses: [
    { keyType: 'ec-p256', uses: ['sign', 'verify'] },
    { keyType: 'ec-p384', uses: ['sign', 'verify'] },
    { keyType: 'rsa-2048', uses: [...KEY_USES] },
  ],
  hardware: false,
  fips: false,
};

/** The REST operations on key backends. */
export function backendRoutes(deps: BackendTestDeps): HttpRoute[] {
  return [
    operation({
      operationId: 'listBackends',
      method: 'GET',
      path: '/backends',
      tag: 'Keys',
      summary: 'List the key backends, with their health',
      permission: 'keys:read',
      replies: { 200: z.strictObject({ items: z.array(backendSchema) }) },
      examples: { replies: { 200: { items: [EXAMPLE] } } },
      handle: async () => ({
        status: 200,
        body: { items: (await inspectBackends(deps)).map(backendJson) },
      }),
    }),
    operation({
      operationId: 'getBackend',
      method: 'GET',
      path: '/backends/:name',
      tag: 'Keys',
      summary: 'Get a key backend: what it can do, and how it is',
      permission: 'keys:read',
      params: z.strictObject({ name: backendName }),
      replies: { 200: backendSchema },
      examples: { params: { name: 'pkcs8' }, replies: { 200: EXAMPLE } },
      errors: { NOT_FOUND: "There is no key backend 'hsm'; there is pkcs8." },
      handle: async ({ params }) => ({
        status: 200,
        body: backendJson(await inspectBackend(deps, params.name)),
      }),
    }),
    operation({
      operationId: 'testBackend',
      method: 'POST',
      path: '/backends/:name/test',
      tag: 'Keys',
      summary: 'Make a throw-away key in a backend, use it, check, and remove it',
      description:
        'It signs and verifies; an AES key encrypts and decrypts. The audit log says that it was tested, and how it ended.',
      permission: 'keys:generate',
      params: z.strictObject({ name: backendName }),
      body: z.strictObject({ keyType: z.string().max(100).default('ec-p256') }),
      replies: { 200: testSchema },
      examples: {
        params: { name: 'hsm' },
        body: { keyType: 'ec-p256' },
        replies: { 200: { keyType: 'ec-p256', usage: 'sign', generationMs: 3.1, useMs: 0.3 } },
      },
      errors: {
        INVALID_KEY_TYPE: "Key type 'dsa-1024' is not one of ec-p256, ….",
        NOT_FOUND: "There is no key backend 'hsm'; there is pkcs8.",
        KEY_USE_REFUSED: 'Refused: the backend hsm is not for their roles.',
        OPERATION_NOT_SUPPORTED: "token 'pki' makes no keys of type ed25519.",
        KEY_UNAVAILABLE:
          "Backend 'hsm': token 'pki' said CKR_DEVICE_ERROR. Look at: gigvault backends info hsm",
      },
      async handle({ params, body, principal }) {
        const test = await testBackend(deps, { ...params, ...body }, principal!);
        const { keyType, usage, generation, use } = test;
        return { status: 200, body: { keyType, usage, generationMs: generation, useMs: use } };
      },
    }),
  ];
}

/** A backend as the API shows it. */
export function backendJson({
  name,
  type,
  forNewKeys,
  latency,
  facts,
  abilities,
  uses,
  problem,
}: BackendState): z.infer<typeof backendSchema> {
  const state = {
    name,
    type,
    default: forNewKeys,
    healthy: problem === undefined,
    latencyMs: latency,
  };
  if (facts === undefined) return { ...state, ...(problem === undefined ? {} : { problem }) };
  const { description, keyTypes, hardware, fips } = facts;
  return {
    ...state,
    description,
    keyTypes: [...keyTypes],
    abilities: [...abilities],
    uses: uses.map((one) => ({ ...one, uses: [...one.uses] })),
    hardware,
    ...(fips === undefined ? {} : { fips }),
  };
}
