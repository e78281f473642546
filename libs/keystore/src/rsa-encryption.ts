import { constants, type KeyObject, publicEncrypt, webcrypto } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { decryptionFailed } from './secret-key.ts';

const HASH_OCTETS = 32;

/** The most that a key of so many bits encrypts, in octets (RFC 8017 §7.1.1). */
export function rsaPlaintextLimit(publicKey: KeyObject): number {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  return Math.ceil(bits / 8) - 2 * HASH_OCTETS - 2;
}

/** RSAES-OAEP (RFC 8017 §7.1), SHA-256 for hash and MGF1. Errors: INVALID_ARGUMENT for what is too long. */
export function encryptTo(publicKey: KeyObject, plaintext: Buffer, label: Buffer): Buffer {
  const limit = rsaPlaintextLimit(publicKey);
  if (plaintext.length > limit) {
    const message = `This key encrypts at most ${limit} octets.`;
    throw new GigvaultError('INVALID_ARGUMENT', message, {
      problems: [{ pointer: '/plaintext', message: `at most ${limit} octets` }],
    });
  }
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return publicEncrypt(
    { key: publicKey, padding, oaepHash: 'sha256', oaepLabel: label },
    plaintext,
  );
}

/** What encryptTo makes, undone, off the event loop. Errors: DECRYPTION_FAILED, which says no more. */
export async function decryptRsa(
  privateKey: KeyObject,
  ciphertext: Buffer,
  label: Buffer,
): Promise<Buffer> {
  const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' };
  const key = privateKey.toCryptoKey(algorithm, false, ['decrypt']);
  try {
    const { subtle } = webcrypto;
    const oaep = { name: 'RSA-OAEP', label: new Uint8Array(label) };
    return Buffer.from(await subtle.decrypt(oaep, key, new Uint8Array(ciphertext)));
  } catch (cause) {
    throw decryptionFailed(cause);
  }
}
