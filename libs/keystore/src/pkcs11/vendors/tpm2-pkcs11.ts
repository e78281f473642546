import { GENERIC } from './generic.ts';
import type { Vendor } from './vendor.ts';

/** tpm2-pkcs11, for TPM 2.0 chips and swtpm. It keeps keys loaded, of which a TPM holds three: it needs a resource manager between them. */
export const TPM2_PKCS11: Vendor = {
  ...GENERIC,
  manufacturer: /tpm2-software/,
  // A TPM does one thing at a time.
  sessions: 1,
  // 1.9 makes P-521 keys, tells their points with a wrong length, and says CKR_HOST_MEMORY when it shall sign.
  broken: new Set(['ec-p521']),
  variables: [
    'DBUS_SESSION_BUS_ADDRESS',
    'TPM2_PKCS11_LOG_LEVEL',
    'TPM2_PKCS11_STORE',
    'TPM2_PKCS11_TCTI',
    'TSS2_LOG',
  ],
  // It compares what it is told with what it makes, and says CKR_GENERAL_ERROR of a key that may not decrypt. Its keys sign and decrypt.
  privateKey: {},
};
