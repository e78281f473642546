import { hash } from 'node:crypto';
import { integer, nullValue, octetString, oid, sequence } from '@gigvault/x509/der';
import { OID } from '@gigvault/x509/oid';
import type { KeyType } from '@gigvault/x509/public-key';
import { algorithmOf } from '../key-algorithm.ts';
import type { SignatureFormat } from '../key-store.ts';
import { unavailable } from './return-value.ts';

/** Octets of r and of s. */
const SCALAR_OCTETS: Partial<Readonly<Record<KeyType, number>>> = {
  'ec-p256': 32,
  'ec-p384': 48,
  'ec-p521': 66,
};
const SHA256_ALGORITHM = sequence(oid(OID.sha256), nullValue());

/** What the token signs, for the whole of the data. */
export function tokenInput(keyType: KeyType, data: Buffer): Buffer {
  const name = algorithmOf(keyType).hash;
  return name === null ? data : digestInput(keyType, hash(name, data, 'buffer'));
}

/** What the token signs, for a digest by the key type's hash: RSA pads a DigestInfo (RFC 8017 §9.2), ECDSA takes the digest itself. */
export function digestInput(keyType: KeyType, digest: Buffer): Buffer {
  return keyType.startsWith('rsa-') ? sequence(SHA256_ALGORITHM, octetString(digest)) : digest;
}

/** The token's signature in the caller's format: ECDSA's comes as r and s side by side (PKCS #11 v3.1 §6.3.1). Errors: KEY_UNAVAILABLE for other lengths. */
export function formatted(keyType: KeyType, raw: Uint8Array, format: SignatureFormat): Buffer {
  const signature = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  const octets = SCALAR_OCTETS[keyType];
  if (octets === undefined) return signature;
  if (signature.length !== 2 * octets) {
    throw unavailable(`The token gave a signature of ${signature.length} octets.`);
  }
  if (format === 'p1363') return signature;
  return sequence(integer(signature.subarray(0, octets)), integer(signature.subarray(octets)));
}
