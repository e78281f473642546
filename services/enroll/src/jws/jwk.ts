import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readPublicKey } from '@gigvault/x509/public-key';
import { decodeBase64Url } from './base64url.ts';

/** A public JWK (RFC 7517) with its required members only, in the order of RFC 7638 §3.2. */
export type PublicJwk =
  | { readonly crv: EllipticCurve; readonly kty: 'EC'; readonly x: string; readonly y: string }
  | { readonly e: string; readonly kty: 'RSA'; readonly n: string }
  | { readonly crv: 'Ed25519'; readonly kty: 'OKP'; readonly x: string };

type EllipticCurve = 'P-256' | 'P-384' | 'P-521';

/** A key that signs requests. */
export interface SignerKey {
  readonly jwk: PublicJwk;
  /** base64url(SHA-256) of RFC 7638: also the second half of a key authorization (RFC 8555 §8.1). */
  readonly thumbprint: string;
  readonly publicKey: KeyObject;
}

const COORDINATE_OCTETS = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const;
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/**
 * Reads a `jwk` header parameter. Errors: INVALID_ARGUMENT for private or malformed members, BAD_PUBLIC_KEY for a key that
 * is weak, off its curve or of a kind that GigVault does not take (T28, T34).
 */
export function readJwk(value: unknown): SignerKey {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new GigvaultError('INVALID_ARGUMENT', '"jwk" is not an object.');
  }
  const members = value as Record<string, unknown>;
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(members, name))) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      '"jwk" holds private key parts. Treat that key as compromised.',
    );
  }
  const jwk = requiredMembers(members);
  return { jwk, thumbprint: jwkThumbprint(jwk), publicKey: importChecked(jwk) };
}

/** The key of a JWK that was read and checked before. */
export function importJwk(jwk: PublicJwk): KeyObject {
  return createPublicKey({ key: { ...jwk }, format: 'jwk' });
}

// Members are in the order of RFC 7638 as requiredMembers makes them; a key read back from jsonb has lost it.
function jwkThumbprint(jwk: PublicJwk): string {
  return hash('sha256', JSON.stringify(jwk), 'base64url');
}

function requiredMembers(members: Record<string, unknown>): PublicJwk {
  const text = (name: string): string => {
    const value = members[name];
    if (typeof value !== 'string')
      throw new GigvaultError('INVALID_ARGUMENT', `"jwk" has no "${name}".`);
    return value;
  };
  const octets = (name: string, length?: number): string => {
    const value = text(name);
    const decoded = decodeBase64Url(value, `"jwk.${name}"`);
    if (decoded.length === 0 || (length !== undefined && decoded.length !== length)) {
      throw new GigvaultError('INVALID_ARGUMENT', `"jwk.${name}" has the wrong length.`);
    }
    return value;
  };
  const kty = text('kty');
  if (kty === 'RSA') return { e: octets('e'), kty, n: octets('n') };
  const crv = text('crv');
  if (kty === 'OKP' && crv === 'Ed25519') return { crv, kty, x: octets('x', 32) };
  if (kty === 'EC' && Object.hasOwn(COORDINATE_OCTETS, crv)) {
    const curve = crv as EllipticCurve;
    return {
      crv: curve,
      kty,
      x: octets('x', COORDINATE_OCTETS[curve]),
      y: octets('y', COORDINATE_OCTETS[curve]),
    };
  }
  throw new GigvaultError(
    'BAD_PUBLIC_KEY',
    `Keys of type ${JSON.stringify(`${kty} ${crv}`)} are not accepted.`,
  );
}

function importChecked(jwk: PublicJwk): KeyObject {
  try {
    const publicKey = importJwk(jwk);
    readPublicKey(publicKey.export({ format: 'der', type: 'spki' }));
    return publicKey;
  } catch (error) {
    if (error instanceof GigvaultError) throw error;
    throw new GigvaultError('BAD_PUBLIC_KEY', 'The key in "jwk" is not a valid public key.', {
      cause: error,
    });
  }
}
