import { type KeyObject, verify } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { decodeBase64Url } from './base64url.ts';
import { parseStrictJsonObject } from './strict-json.ts';

interface Algorithm {
  readonly keyType: 'ec' | 'rsa' | 'ed25519';
  /** As node:crypto names it. */
  readonly curve?: string;
  readonly hash: string | null;
  /** Octets of an ECDSA or Ed25519 signature: r and s side by side (RFC 7518 §3.4), never DER. */
  readonly signatureOctets?: number;
}

const ALGORITHMS: Readonly<Record<string, Algorithm>> = {
  ES256: { keyType: 'ec', curve: 'prime256v1', hash: 'sha256', signatureOctets: 64 },
  ES384: { keyType: 'ec', curve: 'secp384r1', hash: 'sha384', signatureOctets: 96 },
  ES512: { keyType: 'ec', curve: 'secp521r1', hash: 'sha512', signatureOctets: 132 },
  RS256: { keyType: 'rsa', hash: 'sha256' },
  EdDSA: { keyType: 'ed25519', hash: null, signatureOctets: 64 },
};

/** What the server verifies: the `algorithms` member of a badSignatureAlgorithm problem (RFC 8555 §6.2). */
export const SIGNATURE_ALGORITHMS: readonly string[] = Object.keys(ALGORITHMS);

/** A parsed, not yet verified, flattened JWS (RFC 7515 §7.2.2). */
export interface Jws {
  readonly alg: string;
  /** The header's `url`; '' when absent. */
  readonly url: string;
  readonly nonce: string | undefined;
  /** Exactly one of these two is set (RFC 8555 §6.2). */
  readonly jwk: unknown;
  readonly kid: string | undefined;
  readonly payload: Buffer;
  readonly signingInput: Buffer;
  readonly signature: Buffer;
}

/**
 * Reads the flattened JSON serialisation and nothing else: one signature, a protected header only, no extensions.
 * Errors: INVALID_ARGUMENT; BAD_SIGNATURE_ALGORITHM for an `alg` that is not in SIGNATURE_ALGORITHMS (T34).
 */
export function parseJws(body: Buffer): Jws {
  const outer = parseStrictJsonObject(body, 'The request');
  const stray = Object.keys(outer).find(
    (name) => !['protected', 'payload', 'signature'].includes(name),
  );
  if (stray !== undefined)
    throw malformed(`The request is not a flattened JWS: member "${stray}" is not allowed.`);
  const encodedHeader = textMember(outer, 'protected');
  const encodedPayload = textMember(outer, 'payload');
  const header = parseStrictJsonObject(
    decodeBase64Url(encodedHeader, '"protected"'),
    'The protected header',
  );
  for (const name of ['crit', 'b64']) {
    if (Object.hasOwn(header, name))
      throw malformed(`Header parameter "${name}" is not supported.`);
  }
  const kid = optionalText(header, 'kid');
  if ((kid === undefined) === (header['jwk'] === undefined))
    throw malformed('Give exactly one of "jwk" and "kid".');
  return {
    alg: knownAlgorithm(header),
    url: optionalText(header, 'url') ?? '',
    nonce: optionalText(header, 'nonce'),
    jwk: header['jwk'],
    kid,
    payload: decodeBase64Url(encodedPayload, '"payload"'),
    signingInput: Buffer.from(`${encodedHeader}.${encodedPayload}`, 'latin1'),
    signature: decodeBase64Url(textMember(outer, 'signature'), '"signature"'),
  };
}

/**
 * Verifies the signature. Errors: BAD_SIGNATURE_ALGORITHM when `alg` does not belong to the key, INVALID_ARGUMENT when the
 * signature has the wrong length or is wrong (T35).
 */
export function verifyJws(jws: Jws, publicKey: KeyObject): void {
  const algorithm = ALGORITHMS[jws.alg];
  const curve = publicKey.asymmetricKeyDetails?.namedCurve;
  if (
    algorithm?.keyType !== publicKey.asymmetricKeyType ||
    (algorithm?.curve !== undefined && algorithm.curve !== curve)
  ) {
    throw new GigvaultError(
      'BAD_SIGNATURE_ALGORITHM',
      `Algorithm ${jws.alg} does not belong to the key.`,
    );
  }
  const octets =
    algorithm?.signatureOctets ?? (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const valid =
    jws.signature.length === Math.ceil(octets) &&
    verify(
      algorithm?.hash ?? null,
      jws.signingInput,
      { key: publicKey, dsaEncoding: 'ieee-p1363' },
      jws.signature,
    );
  if (!valid) throw malformed('The JWS signature does not verify.');
}

function knownAlgorithm(header: Record<string, unknown>): string {
  const alg = header['alg'];
  if (typeof alg !== 'string') throw malformed('Header parameter "alg" is missing.');
  if (!Object.hasOwn(ALGORITHMS, alg)) {
    throw new GigvaultError(
      'BAD_SIGNATURE_ALGORITHM',
      `Use one of ${SIGNATURE_ALGORITHMS.join(', ')}.`,
    );
  }
  return alg;
}

function textMember(object: Record<string, unknown>, name: string): string {
  const value = object[name];
  if (typeof value !== 'string') throw malformed(`The JWS has no "${name}".`);
  return value;
}

function optionalText(header: Record<string, unknown>, name: string): string | undefined {
  const value = header[name];
  if (value !== undefined && typeof value !== 'string')
    throw malformed(`Header parameter "${name}" is not a string.`);
  return value;
}

function malformed(message: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', message);
}
