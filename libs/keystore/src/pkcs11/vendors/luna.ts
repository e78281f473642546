import { GENERIC } from './generic.ts';
import type { Vendor } from './vendor.ts';

/** Thales Luna, also under its earlier owners' names. Not tried: no such device is at hand; all but the variable is as generic. */
export const LUNA: Vendor = {
  ...GENERIC,
  manufacturer: /^(safenet|gemalto|thales)/i,
  // The folder of Chrystoki.conf, where that is not /etc.
  variables: ['ChrystokiConfigurationPath'],
};
