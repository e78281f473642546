import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const API_KEY = /^gv_key_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/;
const SETUP_TOKEN = /^gv_setup_([A-Za-z0-9_-]{43})$/;

/** A credential that was just made: what is shown once, and what is stored. */
export interface NewCredential {
  /** The only copy of the secret. */
  readonly text: string;
  /** SHA-256 of the secret part. The secret has 256 random bits, so that a slow hash would add nothing. */
  readonly hash: Buffer;
}

/** `gv_key_<keyId>_<secret>`. @param keyId 16 hex digits; random ones when absent */
export function newApiKeyCredential(
  keyId = randomBytes(8).toString('hex'),
): NewCredential & { readonly keyId: string } {
  const secret = randomBytes(32).toString('base64url');
  return { keyId, text: `gv_key_${keyId}_${secret}`, hash: hashOf(secret) };
}

/** `gv_setup_<secret>`. */
export function newSetupCredential(): NewCredential {
  const secret = randomBytes(32).toString('base64url');
  return { text: `gv_setup_${secret}`, hash: hashOf(secret) };
}

/** The parts of an API key; undefined when it is not one. */
export function parseApiKey(
  text: string,
): { readonly keyId: string; readonly hash: Buffer } | undefined {
  const [, keyId, secret] = API_KEY.exec(text) ?? [];
  return keyId && secret ? { keyId, hash: hashOf(secret) } : undefined;
}

/** The hash by which a setup token is found; undefined when it is not one. */
export function parseSetupToken(text: string): Buffer | undefined {
  const secret = SETUP_TOKEN.exec(text)?.[1];
  return secret ? hashOf(secret) : undefined;
}

/** Compares in constant time. */
export function sameHash(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
