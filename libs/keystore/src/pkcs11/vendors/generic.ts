import type { Vendor } from './vendor.ts';

/** A library that keeps to PKCS #11 v2.40. */
export const GENERIC: Vendor = {
  manufacturer: /^/,
  sessions: 4,
  inline: new Set(),
  broken: new Set(),
  undecryptable: new Set([
    'CKR_AEAD_DECRYPT_FAILED',
    'CKR_ENCRYPTED_DATA_INVALID',
    'CKR_ENCRYPTED_DATA_LEN_RANGE',
  ]),
  variables: ['HOME', 'TZ'],
  // Absent, these are whatever the library likes; a signing key does nothing but sign.
  privateKey: { decrypt: false, signRecover: false, unwrap: false, derive: false },
};
