import { GENERIC } from './generic.ts';
import type { Vendor } from './vendor.ts';

/** tpm2-pkcs11, for TPM 2.0 chips and swtpm. */
export const TPM2_PKCS11: Vendor = {
  ...GENERIC,
  manufacturer: /tpm2-software/,
  variables: ['TPM2_PKCS11_STORE', 'TPM2_PKCS11_TCTI', 'TPM2_PKCS11_LOG_LEVEL', 'TSS2_LOG'],
};
