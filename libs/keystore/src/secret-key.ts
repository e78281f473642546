import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  isAesKeyType,
  isHmacKeyType,
  isSecretKeyType,
  SECRET_KEY_TYPES,
  type SecretKeyType,
} from './key-types.ts';

/** A secret key in this process. */
export interface SecretKey {
  readonly keyType: SecretKeyType;
  readonly key: KeyObject;
}

/** Octets of an initialization vector: random ones, so that a key may encrypt GCM_LIMIT times (SP 800-38D §8.2.2). */
export const GCM_IV_OCTETS = 12;
/** Octets of a tag, the longest. */
export const GCM_TAG_OCTETS = 16;
/** How often one key encrypts with random initialization vectors: beyond that two may be the same (SP 800-38D §8.3). */
export const GCM_LIMIT = 2 ** 32;

const OCTETS: Readonly<Record<SecretKeyType, number>> = {
  'aes-128': 16,
  'aes-192': 24,
  'aes-256': 32,
  'hmac-sha256': 32,
  'hmac-sha384': 48,
  'hmac-sha512': 64,
};

/** Octets of a key of this type. Errors: INVALID_ARGUMENT for an unknown type. */
export function secretOctets(keyType: SecretKeyType): number {
  if (isSecretKeyType(keyType)) return OCTETS[keyType];
  const known = SECRET_KEY_TYPES.join(', ');
  throw new GigvaultError('INVALID_ARGUMENT', `Key type '${keyType}' is not one of ${known}.`);
}

/** A random key. Errors: INVALID_ARGUMENT for an unknown type. */
export function generateSecretKey(keyType: SecretKeyType): SecretKey {
  const octets = randomBytes(secretOctets(keyType));
  const key = createSecretKey(octets);
  octets.fill(0);
  return { keyType, key };
}

/** AES-GCM: initialization vector, ciphertext, tag, one after the other. Errors: KEY_USE_REFUSED for an HMAC key. */
export function encryptWith(secret: SecretKey, plaintext: Buffer, additionalData: Buffer): Buffer {
  const iv = randomBytes(GCM_IV_OCTETS);
  const cipher = createCipheriv(cipherOf(secret), secret.key, iv).setAAD(additionalData);
  return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** What encryptWith makes, undone. Errors: DECRYPTION_FAILED, which says no more; KEY_USE_REFUSED for an HMAC key. */
export function decryptWith(secret: SecretKey, sealed: Buffer, additionalData: Buffer): Buffer {
  const cipher = cipherOf(secret);
  if (sealed.length < GCM_IV_OCTETS + GCM_TAG_OCTETS) throw decryptionFailed();
  const iv = sealed.subarray(0, GCM_IV_OCTETS);
  const tag = sealed.subarray(-GCM_TAG_OCTETS);
  const decipher = createDecipheriv(cipher, secret.key, iv, { authTagLength: GCM_TAG_OCTETS });
  decipher.setAAD(additionalData).setAuthTag(tag);
  const opened = decipher.update(sealed.subarray(GCM_IV_OCTETS, -GCM_TAG_OCTETS));
  try {
    return Buffer.concat([opened, decipher.final()]);
  } catch (cause) {
    throw decryptionFailed(cause);
  }
}

/** The whole HMAC of the data. Errors: KEY_USE_REFUSED for an AES key. */
export function macWith({ keyType, key }: SecretKey, data: Buffer): Buffer {
  if (!isHmacKeyType(keyType)) throw otherUse(keyType);
  return createHmac(keyType.slice('hmac-'.length), key).update(data).digest();
}

/** One error for all that may be wrong with a ciphertext: what it is would help whoever forges one. */
export function decryptionFailed(cause?: unknown): GigvaultError {
  const message = 'The ciphertext is not of this key, or it or its additional data was changed.';
  return new GigvaultError('DECRYPTION_FAILED', message, { cause });
}

/** KEY_USE_REFUSED. */
export function otherUse(keyType: string): GigvaultError {
  return new GigvaultError('KEY_USE_REFUSED', `A key of type ${keyType} does not do that.`);
}

function cipherOf({ keyType }: SecretKey): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  if (!isAesKeyType(keyType)) throw otherUse(keyType);
  return `${keyType}-gcm`;
}
