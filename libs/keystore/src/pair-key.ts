import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { DerReader } from '@gigvault/x509/der';
import { keyTypeOf, type PublicKeyInfo, readPublicKey } from '@gigvault/x509/public-key';
import { isMlDsaKeyType, type MlDsaKeyType, type PairKeyType } from './key-types.ts';

/** A public key of any type. */
export type PairKeyInfo = PublicKeyInfo<PairKeyType>;

/** AlgorithmIdentifier of ML-DSA, whose OIDs differ in the last octet (RFC 9881 §2). */
const ML_DSA_ALGORITHM = Buffer.from('300b0609608648016503040300', 'hex').subarray(0, -1);
/** Where it stands in a SubjectPublicKeyInfo with a length of two octets. */
const ALGORITHM_AT = 4;

/** readPublicKey, and ML-DSA (RFC 9881 §4). Throws BAD_PUBLIC_KEY. */
export function readPairKey(spkiDer: Uint8Array): PairKeyInfo {
  const spki = Buffer.from(spkiDer);
  const algorithm = spki.subarray(ALGORITHM_AT, ALGORITHM_AT + ML_DSA_ALGORITHM.length);
  return algorithm.equals(ML_DSA_ALGORITHM) ? readMlDsaKey(spki) : readPublicKey(spki);
}

/** The type of a private or public KeyObject. Throws BAD_PUBLIC_KEY for kinds and sizes that GigVault does not know. */
export function pairKeyTypeOf(key: KeyObject): PairKeyType {
  const name: string = key.asymmetricKeyType ?? '';
  return isMlDsaKeyType(name) ? name : keyTypeOf(key);
}

function readMlDsaKey(spki: Buffer): PublicKeyInfo<MlDsaKeyType> {
  const keyObject = importKey(spki);
  const keyType = pairKeyTypeOf(keyObject);
  // What OpenSSL writes is DER, so another encoding of the same key is none.
  const isDer = keyObject.export({ format: 'der', type: 'spki' }).equals(spki);
  if (!isMlDsaKeyType(keyType) || !isDer) throw refused();
  const fields = new DerReader(spki).sequence();
  fields.sequence();
  return {
    keyType,
    keyObject,
    spki,
    keyIdentifier: hash('sha1', fields.bitOctets(), 'buffer'),
    spkiSha256: hash('sha256', spki, 'hex'),
  };
}

function importKey(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (cause) {
    throw refused(cause);
  }
}

function refused(cause?: unknown): GigvaultError {
  const message = 'The public key is refused: it is not a valid ML-DSA key.';
  return new GigvaultError('BAD_PUBLIC_KEY', message, { cause });
}
