import { createHash, type KeyObject, verify } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { JWK } from 'jose';
import type { TokenSigner } from '../ports/token-signer.ts';
import type { User } from '../ports/user-store.ts';

/** Who issues and who accepts access tokens: `iss` and `aud`. */
export interface TokenNames {
  readonly issuer: string;
  readonly audience: string;
}

/** What an access token says. Times are Unix milliseconds, cut to seconds. */
export interface TokenContent {
  readonly user: User;
  /** The API key it was exchanged for: `client_id`. */
  readonly keyId: string;
  readonly tokenId: string;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** RFC 7638 thumbprint of the key, SHA-256: the `kid`. */
export function keyThumbprint(publicKey: KeyObject): string {
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' });
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
}

/** The key as a member of the JWK Set. */
export function signingJwk(publicKey: KeyObject): JWK {
  return {
    ...(publicKey.export({ format: 'jwk' }) as JWK),
    kid: keyThumbprint(publicKey),
    use: 'sig',
    alg: 'ES256',
  };
}

/**
 * An access token of RFC 9068 in JWS compact form (RFC 7515 §7.1), signed and checked with the verifying key before it leaves.
 * Throws KEY_UNAVAILABLE when the signature is wrong, or what the signer throws.
 */
export async function signAccessToken(
  signer: TokenSigner,
  names: TokenNames,
  content: TokenContent,
): Promise<string> {
  const publicKey = await signer.publicKey();
  const header = { alg: 'ES256', typ: 'at+jwt', kid: keyThumbprint(publicKey) };
  const signingInput = `${segment(header)}.${segment(claimsOf(names, content))}`;
  const signature = await signer.sign(Buffer.from(signingInput, 'ascii'));
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  if (!verify('sha256', Buffer.from(signingInput, 'ascii'), key, signature))
    throw new GigvaultError('KEY_UNAVAILABLE', 'The signing key answered with a wrong signature.');
  return `${signingInput}.${signature.toString('base64url')}`;
}

function claimsOf({ issuer, audience }: TokenNames, content: TokenContent): object {
  const { user, keyId, tokenId, issuedAt, expiresAt } = content;
  return {
    iss: issuer,
    aud: audience,
    sub: user.userId,
    client_id: keyId,
    jti: tokenId,
    iat: Math.floor(issuedAt / 1000),
    exp: Math.floor(expiresAt / 1000),
    name: user.name,
    roles: user.roles,
    tenant: user.tenantId,
  };
}

function segment(value: object): string {
  return Buffer.from(JSON.stringify(value), 'utf8').toString('base64url');
}
