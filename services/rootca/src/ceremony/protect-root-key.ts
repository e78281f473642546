import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { encryptedPkcs8 } from '@gigvault/keystore/key-file';

/** Crockford's base32: no I, L, O, U to mistake. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const GROUPS = 6;
const GROUP_LENGTH = 5;
const CHARACTERS = GROUPS * GROUP_LENGTH;

/** A fresh passphrase of 150 random bits, as `7K2QX-…` in six groups of five. It is shown once and stored nowhere. */
export function newPassphrase(): string {
  const characters = [...randomBytes(CHARACTERS)].map((octet) => ALPHABET[octet & 31]!);
  return inGroups(characters.join(''));
}

/**
 * The root key as encrypted PKCS #8, PEM, AES-256. Of the passphrase only letters and digits count, in either case; O is read as 0, I and L as
 * 1: as people copy it. Errors: INVALID_ARGUMENT for what newPassphrase cannot have made.
 */
export function protectRootKey(privateKey: KeyObject, passphrase: string): string {
  return encryptedPkcs8(privateKey, normalizePassphrase(passphrase));
}

/** Errors: INVALID_ARGUMENT for a malformed passphrase, KEY_UNAVAILABLE for a wrong one or a damaged file. */
export function unlockRootKey(encryptedRootKey: string | Buffer, passphrase: string): KeyObject {
  return decrypt(encryptedRootKey, normalizePassphrase(passphrase), 'this passphrase');
}

/**
 * The root key as encrypted PKCS #8, as protectRootKey makes it, under a secret that was split: the passphrase is the secret in lower-case
 * hex, so that any tool opens the file once the secret is known.
 */
export function protectUnderSecret(privateKey: KeyObject, secret: Buffer): string {
  return encryptedPkcs8(privateKey, secret.toString('hex'));
}

/** Errors: KEY_UNAVAILABLE for another secret or a damaged file. */
export function unlockWithSecret(encryptedRootKey: string, secret: Buffer): KeyObject {
  return decrypt(encryptedRootKey, secret.toString('hex'), 'these shares');
}

function decrypt(encrypted: string | Buffer, passphrase: string, what: string): KeyObject {
  const secret = Buffer.from(passphrase);
  try {
    return createPrivateKey({ key: encrypted, format: 'pem', passphrase: secret });
  } catch (cause) {
    throw new GigvaultError('KEY_UNAVAILABLE', `The root key cannot be decrypted with ${what}.`, {
      cause,
    });
  } finally {
    secret.fill(0);
  }
}

function normalizePassphrase(text: string): string {
  const characters = text
    .toUpperCase()
    .replaceAll(/[\s-]/g, '')
    .replaceAll('O', '0')
    .replaceAll(/[IL]/g, '1');
  if (characters.length !== CHARACTERS || ![...characters].every((c) => ALPHABET.includes(c))) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The passphrase has ${GROUPS} groups of ${GROUP_LENGTH} letters and digits.`,
    );
  }
  return inGroups(characters);
}

function inGroups(characters: string): string {
  return characters.match(new RegExp(`.{${GROUP_LENGTH}}`, 'g'))!.join('-');
}
