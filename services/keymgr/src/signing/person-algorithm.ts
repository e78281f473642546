import type { HmacKeyType, PairKeyType } from '@gigvault/keystore/key-types';

/**
 * How a person's key signs, by its type: as RFC 3279 §2.2.3, RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3, FIPS 204 and RFC 8018 §B.1.1 name it. The hash is
 * the type's own.
 */
export const SIGNATURE_ALGORITHMS = {
  'ec-p256': 'ecdsa-with-SHA256',
  'ec-p384': 'ecdsa-with-SHA384',
  'ec-p521': 'ecdsa-with-SHA512',
  'rsa-2048': 'sha256WithRSAEncryption',
  'rsa-3072': 'sha256WithRSAEncryption',
  'rsa-4096': 'sha256WithRSAEncryption',
  ed25519: 'Ed25519',
  'ml-dsa-44': 'ML-DSA-44',
  'ml-dsa-65': 'ML-DSA-65',
  'ml-dsa-87': 'ML-DSA-87',
  'hmac-sha256': 'hmacWithSHA256',
  'hmac-sha384': 'hmacWithSHA384',
  'hmac-sha512': 'hmacWithSHA512',
} as const satisfies Record<PairKeyType | HmacKeyType, string>;

/** One of SIGNATURE_ALGORITHMS. */
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[PairKeyType | HmacKeyType];
