import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { DerError, DerReader } from '@gigvault/x509/der';
import type { KeyType } from '@gigvault/x509/public-key';
import { algorithmOf } from '../key-algorithm.ts';
import type { SignatureFormat } from '../key-store.ts';

/** How KMS calls a key type, and what it does with its digests. */
export interface KmsAlgorithm {
  readonly keySpec:
    | 'ECC_NIST_P256'
    | 'ECC_NIST_P384'
    | 'ECC_NIST_P521'
    | 'RSA_2048'
    | 'RSA_3072'
    | 'RSA_4096';
  readonly signing:
    | 'ECDSA_SHA_256'
    | 'ECDSA_SHA_384'
    | 'ECDSA_SHA_512'
    | 'RSASSA_PKCS1_V1_5_SHA_256';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
  /** Octets of r and of s; undefined for RSA. */
  readonly scalar?: number;
}

const RSA = { signing: 'RSASSA_PKCS1_V1_5_SHA_256', hash: 'sha256' } as const;

/** Ed25519 and ML-DSA it has as well, but signs no digests with them, and at most 4,096 octets. */
const ALGORITHMS: Partial<Readonly<Record<string, KmsAlgorithm>>> = {
  'ec-p256': { keySpec: 'ECC_NIST_P256', signing: 'ECDSA_SHA_256', hash: 'sha256', scalar: 32 },
  'ec-p384': { keySpec: 'ECC_NIST_P384', signing: 'ECDSA_SHA_384', hash: 'sha384', scalar: 48 },
  'ec-p521': { keySpec: 'ECC_NIST_P521', signing: 'ECDSA_SHA_512', hash: 'sha512', scalar: 66 },
  'rsa-2048': { ...RSA, keySpec: 'RSA_2048' },
  'rsa-3072': { ...RSA, keySpec: 'RSA_3072' },
  'rsa-4096': { ...RSA, keySpec: 'RSA_4096' },
} satisfies Partial<Record<KeyType, KmsAlgorithm>>;

/** The key types that KMS makes here. */
export const KMS_KEY_TYPES = Object.keys(ALGORITHMS) as readonly KeyType[];

/** True for one of KMS_KEY_TYPES. */
export function isKmsKeyType(keyType: string): boolean {
  return Object.hasOwn(ALGORITHMS, keyType);
}

/** Errors: INVALID_ARGUMENT for an unknown type, OPERATION_NOT_SUPPORTED for one that KMS does not sign digests with. */
export function kmsAlgorithm(keyType: string): KmsAlgorithm {
  algorithmOf(keyType as KeyType);
  const algorithm = ALGORITHMS[keyType];
  if (algorithm !== undefined) return algorithm;
  throw new GigvaultError(
    'OPERATION_NOT_SUPPORTED',
    `AWS KMS makes no keys of type ${keyType} that sign data of any length; it makes ${KMS_KEY_TYPES.join(', ')}.`,
  );
}

/** KMS's signature, ECDSA's in DER, in the caller's format. Throws DerError for what is no such signature. */
export function formattedSignature(
  { scalar }: KmsAlgorithm,
  signature: Uint8Array,
  format: SignatureFormat,
): Buffer {
  const octets = Buffer.from(signature);
  if (scalar === undefined || format === 'der') return octets;
  const fields = new DerReader(octets).sequence();
  const sides = [scalarOf(fields.content(0x02), scalar), scalarOf(fields.content(0x02), scalar)];
  fields.expectEnd();
  return Buffer.concat(sides);
}

/** An INTEGER's content as so many octets. */
function scalarOf(content: Buffer, octets: number): Buffer {
  const bare = content[0] === 0 ? content.subarray(1) : content;
  if (bare.length > octets) throw new DerError('The integer is too large for the curve.');
  return Buffer.concat([Buffer.alloc(octets - bare.length), bare]);
}
