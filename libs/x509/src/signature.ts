import { createVerify, type KeyObject, sign, verify } from 'node:crypto';
import { DerError, DerReader, nullValue, oid, sequence } from './der.ts';
import { OID } from './oid.ts';
import { type KeyType, keyTypeOf } from './public-key.ts';

type HashName = 'sha256' | 'sha384' | 'sha512';

interface Scheme {
  readonly oid: string;
  /** node:crypto's asymmetricKeyType. */
  readonly key: 'rsa' | 'ec' | 'ed25519';
  /** undefined: the scheme hashes by itself. */
  readonly hash: HashName | undefined;
}

const RSA_SHA256: Scheme = { oid: OID.sha256WithRsaEncryption, key: 'rsa', hash: 'sha256' };
const SCHEME_OF_KEY_TYPE: Readonly<Record<KeyType, Scheme>> = {
  'ec-p256': { oid: OID.ecdsaWithSha256, key: 'ec', hash: 'sha256' },
  'ec-p384': { oid: OID.ecdsaWithSha384, key: 'ec', hash: 'sha384' },
  'ec-p521': { oid: OID.ecdsaWithSha512, key: 'ec', hash: 'sha512' },
  'rsa-2048': RSA_SHA256,
  'rsa-3072': RSA_SHA256,
  'rsa-4096': RSA_SHA256,
  ed25519: { oid: OID.ed25519, key: 'ed25519', hash: undefined },
};
const SCHEME_OF_OID: ReadonlyMap<string, Scheme> = new Map(
  [
    ...Object.values(SCHEME_OF_KEY_TYPE),
    { oid: OID.sha384WithRsaEncryption, key: 'rsa', hash: 'sha384' } as const,
    { oid: OID.sha512WithRsaEncryption, key: 'rsa', hash: 'sha512' } as const,
  ].map((scheme) => [scheme.oid, scheme]),
);

/** The algorithms of the key types, encoded once. */
const ALGORITHM_DER = Object.fromEntries(
  Object.entries(SCHEME_OF_KEY_TYPE).map(([keyType, { key, oid: algorithm }]) => [
    keyType,
    key === 'rsa' ? sequence(oid(algorithm), nullValue()) : sequence(oid(algorithm)),
  ]),
) as Readonly<Record<KeyType, Buffer>>;

/**
 * AlgorithmIdentifier of the signatures that signTbs makes with such a key: ECDSA with the curve's SHA-2 and no parameters
 * (RFC 5758 §3.2), RSA PKCS#1 v1.5 with SHA-256 and NULL (RFC 4055 §5), Ed25519 (RFC 8410 §3). The same octets each time: not to be changed.
 */
export function signatureAlgorithm(keyType: KeyType): Buffer {
  return ALGORITHM_DER[keyType];
}

/** The signature's octets (ECDSA: DER of RFC 3279 §2.2.3) over `tbs`, by signatureAlgorithm of the key's type. Throws BAD_PUBLIC_KEY for other keys. */
export function signTbs(privateKey: KeyObject, tbs: Uint8Array): Buffer {
  return sign(SCHEME_OF_KEY_TYPE[keyTypeOf(privateKey)].hash, tbs, privateKey);
}

/**
 * True when `signature` over `tbs` was made by `publicKey` with the algorithm that `algorithmDer` names. SHA-2 only; false,
 * never an error, for unknown algorithms, algorithms of another key type and malformed input.
 */
export function verifySignature(
  publicKey: KeyObject,
  algorithmDer: Uint8Array,
  tbs: Uint8Array,
  signature: Uint8Array,
): boolean {
  const scheme = readScheme(algorithmDer);
  if (scheme === undefined || scheme.key !== publicKey.asymmetricKeyType) return false;
  return verify(scheme.hash, tbs, publicKey, signature);
}

/** verifySignature off the event loop: for whoever verifies many at once. */
export async function verifySignatureOffLoop(
  publicKey: KeyObject,
  algorithmDer: Uint8Array,
  tbs: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const scheme = readScheme(algorithmDer);
  if (scheme === undefined || scheme.key !== publicKey.asymmetricKeyType) return false;
  return new Promise((resolve, reject) => {
    verify(scheme.hash, tbs, publicKey, signature, (error, valid) =>
      error ? reject(error) : resolve(valid),
    );
  });
}

/** A check of a signature over bytes that come in parts and are not held. */
export interface OpenVerification {
  update(part: Uint8Array): void;
  /** As verifySignature; once. */
  verify(signature: Uint8Array): boolean;
}

/** Starts what verifySignature does at once. Ed25519 reads its bytes twice (RFC 8032 §5.1.7), so there the parts are kept. */
export function openVerification(publicKey: KeyObject, algorithmDer: Uint8Array): OpenVerification {
  const scheme = readScheme(algorithmDer);
  if (scheme?.hash === undefined) {
    const parts: Uint8Array[] = [];
    return {
      update: (part) => void parts.push(part),
      verify: (signature) =>
        verifySignature(publicKey, algorithmDer, Buffer.concat(parts), signature),
    };
  }
  const matches = scheme.key === publicKey.asymmetricKeyType;
  const verifying = createVerify(scheme.hash);
  return {
    update: (part) => void verifying.update(part),
    verify: (signature) => matches && verifying.verify(publicKey, signature),
  };
}

function readScheme(algorithmDer: Uint8Array): Scheme | undefined {
  try {
    const outer = new DerReader(algorithmDer);
    const fields = outer.sequence();
    outer.expectEnd();
    const scheme = SCHEME_OF_OID.get(fields.oid());
    // RFC 4055 §5: NULL is right for RSA, and its absence must be taken too.
    if (scheme?.key === 'rsa' && !fields.done) fields.null();
    fields.expectEnd();
    return scheme;
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}
