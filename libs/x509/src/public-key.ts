import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { DerError, DerReader } from './der.ts';
import { OID } from './oid.ts';
import { modulusProblem } from './rsa-modulus.ts';

/** The kinds of key that GigVault knows. */
export type KeyType =
  | 'ec-p256'
  | 'ec-p384'
  | 'ec-p521'
  | 'rsa-2048'
  | 'rsa-3072'
  | 'rsa-4096'
  | 'ed25519';

/** A public key that passed every check of readPublicKey, or one of a type beyond those. */
export interface PublicKeyInfo<Type extends string = KeyType> {
  /** RSA keys of in-between sizes count as the class below: 3000 bits is `rsa-2048`. */
  readonly keyType: Type;
  readonly keyObject: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** SHA-1 of the subjectPublicKey bits (RFC 5280 §4.2.1.2 (1)), 20 octets. */
  readonly keyIdentifier: Buffer;
  /** SHA-256 of `spki`, hex: what block lists and audit records hold. */
  readonly spkiSha256: string;
}

interface Curve {
  readonly keyType: KeyType;
  /** Octets of one coordinate. */
  readonly coordinate: number;
}

const CURVES: ReadonlyMap<string, Curve> = new Map([
  [OID.secp256r1, { keyType: 'ec-p256', coordinate: 32 }],
  [OID.secp384r1, { keyType: 'ec-p384', coordinate: 48 }],
  [OID.secp521r1, { keyType: 'ec-p521', coordinate: 66 }],
]);
const MIN_EXPONENT = 65537n;
const MAX_EXPONENT = 1n << 256n;
const MAX_SPKI_OCTETS = 2048;

/** Encodings of the points of order 1, 2, 4 and 8 on edwards25519, without the sign bit (RFC 8032 §5.1; as libsodium lists them). */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/**
 * Reads a SubjectPublicKeyInfo and checks the key: RSA of 2048 to 4096 bits (a multiple of 8), odd exponent from 65537 below
 * 2^256, no small factor, no ROCA fingerprint, no close primes; EC only P-256, P-384, P-521 as a named curve with an
 * uncompressed point on it; Ed25519 not of small order. Throws BAD_PUBLIC_KEY for everything else, malformed DER included
 * (BR §6.1.1.3, §6.1.5, §6.1.6; T28).
 */
export function readPublicKey(spkiDer: Uint8Array): PublicKeyInfo {
  if (spkiDer.length > MAX_SPKI_OCTETS) refuse('it is too large.');
  try {
    return readChecked(Buffer.from(spkiDer));
  } catch (error) {
    if (error instanceof DerError) refuse('it is not a valid SubjectPublicKeyInfo.', error);
    throw error;
  }
}

function readChecked(spki: Buffer): PublicKeyInfo {
  const outer = new DerReader(spki);
  const fields = outer.sequence();
  outer.expectEnd();
  const algorithm = fields.sequence();
  const bits = fields.bitOctets();
  fields.expectEnd();
  const keyType = checkKey(algorithm, bits);
  return {
    keyType,
    keyObject: importKey(spki),
    spki,
    keyIdentifier: hash('sha1', bits, 'buffer'),
    spkiSha256: hash('sha256', spki, 'hex'),
  };
}

function checkKey(algorithm: DerReader, bits: Buffer): KeyType {
  switch (algorithm.oid()) {
    case OID.rsaEncryption:
      algorithm.null();
      algorithm.expectEnd();
      return checkRsa(bits);
    case OID.ecPublicKey:
      return checkEc(algorithm, bits);
    case OID.ed25519:
      algorithm.expectEnd();
      return checkEd25519(bits);
    default:
      return refuse('its algorithm is not RSA, EC or Ed25519.');
  }
}

function checkRsa(bits: Buffer): KeyType {
  const outer = new DerReader(bits);
  const fields = outer.sequence();
  outer.expectEnd();
  const modulus = fields.integer();
  const exponent = fields.integer();
  fields.expectEnd();
  const size = modulus > 0n ? modulus.toString(2).length : 0;
  if (size < 2048 || size > 4096 || size % 8 !== 0) {
    refuse('RSA keys have 2048 to 4096 bits, a multiple of 8.');
  }
  if (exponent < MIN_EXPONENT || exponent >= MAX_EXPONENT || exponent % 2n === 0n) {
    refuse('the RSA exponent is even, below 65537 or above 2^256.');
  }
  const problem = modulusProblem(modulus);
  if (problem !== undefined) refuse(problem);
  return rsaKeyType(size);
}

function rsaKeyType(size: number): KeyType {
  if (size < 3072) return 'rsa-2048';
  return size < 4096 ? 'rsa-3072' : 'rsa-4096';
}

function checkEc(algorithm: DerReader, bits: Buffer): KeyType {
  const curve = CURVES.get(algorithm.oid());
  algorithm.expectEnd();
  if (curve === undefined) refuse('its curve is not P-256, P-384 or P-521.');
  if (bits[0] !== 4 || bits.length !== 1 + 2 * curve.coordinate) {
    refuse('its point is not in uncompressed form.');
  }
  return curve.keyType;
}

function checkEd25519(bits: Buffer): KeyType {
  if (bits.length !== 32) refuse('an Ed25519 key has 32 octets.');
  const y = Buffer.from(bits);
  y[31] = y[31]! & 0x7f;
  if (SMALL_ORDER_Y.has(y.toString('hex'))) refuse('its point is of small order.');
  return 'ed25519';
}

/** OpenSSL checks here that the point is on the curve. */
function importKey(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (error) {
    return refuse('it cannot be imported; an EC point may be off its curve.', error);
  }
}

function refuse(problem: string, cause?: unknown): never {
  throw new GigvaultError('BAD_PUBLIC_KEY', `The public key is refused: ${problem}`, { cause });
}

/** readPublicKey of a private or public KeyObject's public half. Throws BAD_PUBLIC_KEY. */
export function publicKeyInfoOf(key: KeyObject): PublicKeyInfo {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return readPublicKey(publicKey.export({ format: 'der', type: 'spki' }));
}

/** The type of a private or public KeyObject. Throws BAD_PUBLIC_KEY for kinds and sizes that GigVault does not know. */
export function keyTypeOf(key: KeyObject): KeyType {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return 'ed25519';
    case 'ec':
      return ecKeyType(key.asymmetricKeyDetails?.namedCurve);
    case 'rsa': {
      const size = key.asymmetricKeyDetails?.modulusLength ?? 0;
      return size >= 2048 ? rsaKeyType(size) : refuse('RSA keys have at least 2048 bits.');
    }
    default:
      return refuse('its algorithm is not RSA, EC or Ed25519.');
  }
}

function ecKeyType(namedCurve: string | undefined): KeyType {
  if (namedCurve === 'prime256v1') return 'ec-p256';
  if (namedCurve === 'secp384r1') return 'ec-p384';
  if (namedCurve === 'secp521r1') return 'ec-p521';
  return refuse('its curve is not P-256, P-384 or P-521.');
}
