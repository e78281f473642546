import type { KeyType } from '@gigvault/x509/public-key';

/** RFC 7518 §3.1, RFC 9864. No RSA: access tokens are short. */
const ALGORITHM: Readonly<Partial<Record<KeyType, string>>> = {
  'ec-p256': 'ES256',
  'ec-p384': 'ES384',
  ed25519: 'EdDSA',
};

/** RFC 9068 §2.1 and RFC 7519 §5.1. */
const TYPES: readonly unknown[] = ['at+jwt', 'JWT'];

/**
 * Why these bytes are not a JWT's signing input for a key of this type, or undefined when they are: two base64url parts with one dot
 * between (RFC 7515 §5.1), a header whose `alg` is the key's and whose `typ` is `at+jwt` or `JWT`, and a JSON object as claims.
 */
export function whyNoJwsInput(tbs: Buffer, keyType: KeyType): string | undefined {
  const parts = tbs.toString('latin1').split('.');
  if (parts.length !== 2) return 'not a signing input of two parts';
  const [header, claims] = parts.map(jsonObject);
  if (header === undefined || claims === undefined) return 'header and claims are not JSON objects';
  if (header['alg'] !== ALGORITHM[keyType]) return 'alg is not the key’s';
  if (!TYPES.includes(header['typ'])) return 'typ is neither at+jwt nor JWT';
  // Both change what the other bytes mean (RFC 7515 §4.1.11, RFC 7797).
  if ('crit' in header || 'b64' in header) return 'crit and b64 are not allowed';
  return undefined;
}

function jsonObject(part: string): Record<string, unknown> | undefined {
  const octets = Buffer.from(part, 'base64url');
  // Only the canonical encoding: no padding, no stray bits, no other alphabet.
  if (part === '' || octets.toString('base64url') !== part) return undefined;
  try {
    const value: unknown = JSON.parse(octets.toString('utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
