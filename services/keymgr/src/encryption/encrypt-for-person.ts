import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { AesKeyType, RsaKeyType } from '@gigvault/keystore/key-types';
import { encryptTo } from '@gigvault/keystore/rsa-encryption';
import { GCM_LIMIT } from '@gigvault/keystore/secret-key';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { keyLost } from '../backends/backends.ts';
import { secretKeysOf } from '../backends/key-signature.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { type PersonDeps, useOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import type { EncryptionOutcome } from '../ports/encryption-table.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import { MAX_DATA } from '../signing/sign-for-person.ts';
import { headerOf } from './ciphertext.ts';

/** Octets of additional data at most. */
export const MAX_ADDITIONAL_DATA = 4096;

/** How a key encrypts, by its type (SP 800-38D; RFC 8017 §7.1 with SHA-256). */
export const ENCRYPTION_ALGORITHMS = {
  'aes-128': 'AES-128-GCM',
  'aes-192': 'AES-192-GCM',
  'aes-256': 'AES-256-GCM',
  'rsa-2048': 'RSAES-OAEP-SHA256',
  'rsa-3072': 'RSAES-OAEP-SHA256',
  'rsa-4096': 'RSAES-OAEP-SHA256',
} as const satisfies Record<AesKeyType | RsaKeyType, string>;

/** One of ENCRYPTION_ALGORITHMS. */
export type EncryptionAlgorithm = (typeof ENCRYPTION_ALGORITHMS)[AesKeyType | RsaKeyType];

/** What a person asks. */
export interface EncryptRequest {
  /** 1 to MAX_DATA octets; with RSA at most rsaPlaintextLimit. */
  readonly plaintext: Buffer;
  /** Up to MAX_ADDITIONAL_DATA octets, which whoever decrypts must have: AES-GCM's additional authenticated data, RSAES-OAEP's label. */
  readonly additionalData: Buffer;
}

/** What a person gets. */
export interface PersonCiphertext {
  /** See ciphertext.ts. */
  readonly ciphertext: Buffer;
  readonly version: number;
  readonly algorithm: EncryptionAlgorithm;
}

/**
 * Encrypts with the current version of a person's key. Its event is in the log, and for AES the encryption is counted, before anybody sees the
 * ciphertext; if the key was taken out of use or rotated meanwhile, it is forgotten here and everything begins anew.
 * Errors: those of requireOwnKey, KEY_USE_REFUSED unless the key is active and encrypts and its version may go on, INVALID_ARGUMENT for sizes,
 * KEY_LOST, KEY_UNAVAILABLE.
 */
export async function encryptForPerson(
  deps: PersonDeps,
  keyId: string,
  request: EncryptRequest,
  principal: Principal,
): Promise<PersonCiphertext> {
  const { plaintext, additionalData } = request;
  requireOctets('plaintext', plaintext, 1, MAX_DATA);
  requireOctets('additionalData', additionalData, 0, MAX_ADDITIONAL_DATA);
  return useOwnKey(deps, keyId, 'encrypt', principal, (key) =>
    attempt(deps, key, request, principal),
  );
}

/** Undefined when somebody has changed the key meanwhile. */
async function attempt(
  deps: PersonDeps,
  key: StoredKey,
  request: EncryptRequest,
  { actor }: Principal,
): Promise<PersonCiphertext | undefined> {
  const { plaintext } = request;
  const { keyId } = key;
  const use = { purpose: 'encrypt', caller: actor };
  const { version } = key;
  const ciphertext = Buffer.concat([headerOf(version), await seal(deps, key, request)]);
  const told = { ...use, count: 1, version, octets: plaintext.length };
  const event: KeyEvent = { type: 'key.used', actor, subject: keyId, data: told };
  const outcome = await durableStep('keymgr.use', () => record(deps, key, event));
  if (outcome === 'exhausted') {
    const why = `version ${version} has encrypted ${GCM_LIMIT} times; rotate the key`;
    throw await refuseUse(deps, keyId, use, why);
  }
  if (outcome === 'changed') return undefined;
  const algorithm = ENCRYPTION_ALGORITHMS[key.keyType as keyof typeof ENCRYPTION_ALGORITHMS];
  return { ciphertext, version, algorithm };
}

async function seal(
  { backends, log }: PersonDeps,
  key: StoredKey,
  { plaintext, additionalData }: EncryptRequest,
): Promise<Buffer> {
  const { publicKey, handle, version } = key;
  // A ciphertext that nobody can decrypt is data lost.
  if (backends.hasLost(key)) throw keyLost(key.backend);
  if (publicKey !== null) return encryptTo(publicKey.keyObject, plaintext, additionalData);
  const secretKeys = secretKeysOf(backends, key);
  const authenticated = Buffer.concat([headerOf(version), additionalData]);
  const sealed = await secretKeys.encrypt(handle, plaintext, authenticated);
  const opened = await secretKeys.decrypt(handle, sealed, authenticated).catch(() => undefined);
  if (opened?.equals(plaintext)) return sealed;
  const { keyId, backend } = key;
  log.error({ key_id: keyId, backend, operation: 'encrypt' }, 'backend gave a wrong ciphertext');
  throw new GigvaultError('KEY_UNAVAILABLE', `Key '${keyId}' gave a wrong ciphertext.`, {
    details: { key_id: keyId },
  });
}

/** A public key encrypts as often as it likes, here and elsewhere: only AES is counted. */
async function record(
  { keys, encryptions }: PersonDeps,
  key: StoredKey,
  event: KeyEvent,
): Promise<EncryptionOutcome> {
  if (key.publicKey === null) return encryptions.record(key, event, GCM_LIMIT);
  return (await keys.recordUse(key, event)) ? 'recorded' : 'changed';
}

/** Errors: INVALID_ARGUMENT. */
export function requireOctets(field: string, octets: Buffer, least: number, most: number): void {
  if (octets.length >= least && octets.length <= most) return;
  const message = `${least} to ${most} octets`;
  throw new GigvaultError('INVALID_ARGUMENT', `The field ${field} has ${message}.`, {
    problems: [{ pointer: `/${field}`, message }],
  });
}
