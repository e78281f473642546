import type { KeyType } from '@gigvault/x509/public-key';

/** How a person's key signs, by its type: as RFC 3279 §2.2.3, RFC 4055 §5, RFC 5758 §3.2 and RFC 8410 §3 name it. The hash is the type's own. */
export const SIGNATURE_ALGORITHMS = {
  'ec-p256': 'ecdsa-with-SHA256',
  'ec-p384': 'ecdsa-with-SHA384',
  'ec-p521': 'ecdsa-with-SHA512',
  'rsa-2048': 'sha256WithRSAEncryption',
  'rsa-3072': 'sha256WithRSAEncryption',
  'rsa-4096': 'sha256WithRSAEncryption',
  ed25519: 'Ed25519',
} as const satisfies Record<KeyType, string>;

/** One of SIGNATURE_ALGORITHMS. */
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[KeyType];
