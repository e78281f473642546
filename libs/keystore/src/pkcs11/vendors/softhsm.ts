import { GENERIC } from './generic.ts';
import type { Vendor } from './vendor.ts';

/** SoftHSM 2. */
export const SOFTHSM: Vendor = {
  ...GENERIC,
  manufacturer: /^SoftHSM/,
  variables: ['SOFTHSM2_CONF'],
};
