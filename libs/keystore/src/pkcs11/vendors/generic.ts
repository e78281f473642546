import type { Vendor } from './vendor.ts';

/** A library that keeps to PKCS #11 v2.40. */
export const GENERIC: Vendor = {
  manufacturer: /^/,
  sessions: 4,
  inline: new Set(),
  variables: ['HOME', 'TZ'],
  // Absent, these are whatever the library likes; a signing key does nothing but sign.
  privateKey: { decrypt: false, signRecover: false, unwrap: false, derive: false },
};
