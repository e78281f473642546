import { type HttpRoute, operation } from '@gigvault/http/route';
import { z } from 'zod';
import { decryptForPerson, MAX_CIPHERTEXT } from '../encryption/decrypt-for-person.ts';
import {
  ENCRYPTION_ALGORITHMS,
  encryptForPerson,
  MAX_ADDITIONAL_DATA,
} from '../encryption/encrypt-for-person.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { MAX_DATA } from '../signing/sign-for-person.ts';
import { keyId, octets, version } from './key-json.ts';

const plaintext = octets(1, MAX_DATA);
const ciphertext = octets(1, MAX_CIPHERTEXT);
const additionalData = octets(0, MAX_ADDITIONAL_DATA)
  .default('')
  .describe(
    'What whoever decrypts must give again: additional authenticated data of AES-GCM, label of RSAES-OAEP',
  );

const CIPHERTEXT = 'AQAAAAFkZWNyeXB0IG1lIQ==';
const PLAINTEXT = 'c2VjcmV0';
const params = { keyId: 'my-box' };

const ERRORS = {
  INVALID_KEY_ID: 'A key id has 1 to 255 letters, digits and dashes.',
  KEY_LOST:
    "The private key of this version is not in its backend 'scratch' any more. Rotate the key, or destroy it.",
  KEY_NOT_FOUND: "Key 'my-box' not found.",
  KEY_USE_REFUSED: "Key 'my-box' refused: it signs, and does not encrypt.",
  KEY_UNAVAILABLE:
    "Backend 'hsm': token 'pki' said CKR_DEVICE_ERROR. Look at: gigvault backends info hsm",
} as const;

/** The REST operations with which keys encrypt and decrypt. */
export function encryptionRoutes(deps: PersonDeps): HttpRoute[] {
  return [encryption(deps), decryption(deps)];
}

function encryption(deps: PersonDeps): HttpRoute {
  return operation({
    operationId: 'encryptData',
    method: 'POST',
    path: '/keys/:keyId/encrypt',
    tag: 'Keys',
    summary: 'Encrypt data with the current version of a key',
    description:
      'AES-GCM up to 65,536 octets, RSAES-OAEP with SHA-256 up to 190, 318 or 446, by the size of the key. The ciphertext begins with the octet 1 and the version in four octets. With a key of somebody else administrators encrypt, and whom its owner granted it.',
    permission: 'keys:encrypt',
    params: z.strictObject({ keyId }),
    body: z.strictObject({ plaintext, additionalData }),
    replies: {
      200: z.strictObject({
        keyId,
        version: version.describe('The version of the key that encrypted'),
        algorithm: z.enum(Object.values(ENCRYPTION_ALGORITHMS)),
        ciphertext: z.base64(),
      }),
    },
    examples: {
      params,
      body: { plaintext: PLAINTEXT, additionalData: '' },
      replies: {
        200: { keyId: 'my-box', version: 1, algorithm: 'AES-256-GCM', ciphertext: CIPHERTEXT },
      },
    },
    errors: ERRORS,
    async handle({ params: { keyId: id }, body, principal }) {
      const request = {
        plaintext: Buffer.from(body.plaintext, 'base64'),
        additionalData: Buffer.from(body.additionalData, 'base64'),
      };
      const made = await encryptForPerson(deps, id, request, principal!);
      const reply = { keyId: id, ...made, ciphertext: made.ciphertext.toString('base64') };
      return { status: 200, body: reply };
    },
  });
}

function decryption(deps: PersonDeps): HttpRoute {
  return operation({
    operationId: 'decryptData',
    method: 'POST',
    path: '/keys/:keyId/decrypt',
    tag: 'Keys',
    summary: 'Decrypt data with the version of a key that encrypted it',
    description:
      'Also by keys that are suspended, deactivated or compromised. With a key of somebody else administrators decrypt, and whom its owner granted it.',
    permission: 'keys:decrypt',
    params: z.strictObject({ keyId }),
    body: z.strictObject({ ciphertext, additionalData }),
    replies: {
      200: z.strictObject({
        keyId,
        version: version.describe('The version of the key that had encrypted it'),
        plaintext: z.base64(),
      }),
    },
    examples: {
      params,
      body: { ciphertext: CIPHERTEXT, additionalData: '' },
      replies: { 200: { keyId: 'my-box', version: 1, plaintext: PLAINTEXT } },
    },
    errors: {
      ...ERRORS,
      DECRYPTION_FAILED: "Key 'my-box' refused: the ciphertext does not decrypt.",
    },
    async handle({ params: { keyId: id }, body, principal }) {
      const request = {
        ciphertext: Buffer.from(body.ciphertext, 'base64'),
        additionalData: Buffer.from(body.additionalData, 'base64'),
      };
      const opened = await decryptForPerson(deps, id, request, principal!);
      const reply = { keyId: id, ...opened, plaintext: opened.plaintext.toString('base64') };
      return { status: 200, body: reply };
    },
  });
}
