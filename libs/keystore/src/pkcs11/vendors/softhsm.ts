import { GENERIC } from './generic.ts';
import type { Vendor } from './vendor.ts';

/** SoftHSM 2. */
export const SOFTHSM: Vendor = {
  ...GENERIC,
  manufacturer: /^SoftHSM/,
  // Signs in the thread that asks, behind one lock.
  inline: new Set(['ec-p256', 'ed25519']),
  // Of a tag that is wrong it says no more than this.
  undecryptable: new Set([...GENERIC.undecryptable, 'CKR_GENERAL_ERROR']),
  variables: ['SOFTHSM2_CONF'],
};
