import { globSync } from 'node:fs';
import type { SecretReference } from '@gigvault/config/secret';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type Pkcs11KeyStore,
  type Pkcs11Options,
  pkcs11KeyStore,
} from './pkcs11/pkcs11-key-store.ts';

/** Which TPM, and which token of tpm2-pkcs11 in it. */
export interface Tpm2Options extends Omit<Pkcs11Options, 'uri'> {
  /** CKA_LABEL of the token, which is there and initialised. */
  readonly token: string;
  readonly pinSource: SecretReference;
  /** How the TPM is reached, in the words of tpm2-tss: `device:/dev/tpmrm0`, `tabrmd:bus_type=session`. */
  readonly tcti: string;
  /** Where tpm2-pkcs11 keeps what the TPM has no room for, wrapped by it. Absolute. */
  readonly directory: string;
  /** The library, absolute. Default: where distributions put it. */
  readonly modulePath?: string | undefined;
}

const MODULES = [
  '/usr/lib/*-linux-gnu*/libtpm2_pkcs11.so.1',
  '/usr/lib{,64}/pkcs11/libtpm2_pkcs11.so',
  '/usr/lib{,64}/libtpm2_pkcs11.so.1',
];

/**
 * Keys that a TPM 2.0 makes and that leave it wrapped alone, by tpm2-pkcs11: pkcs11KeyStore with what is a TPM's own.
 * Errors: INVALID_ARGUMENT when the library is not installed.
 */
export function tpm2KeyStore(options: Tpm2Options): Pkcs11KeyStore {
  const { token, pinSource, tcti, directory, modulePath = installedModule(), ...rest } = options;
  const store = pkcs11KeyStore({
    ...rest,
    uri: { token: { token }, modulePath, pinSource },
    environment: {
      ...rest.environment,
      TPM2_PKCS11_TCTI: tcti,
      TPM2_PKCS11_STORE: directory,
    },
  });
  return { ...store, backend: rest.backend ?? 'tpm2', type: 'tpm2' };
}

function installedModule(): string {
  const [found] = globSync(MODULES);
  if (found !== undefined) return found;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'The library of tpm2-pkcs11 is not installed (Debian: libtpm2-pkcs11-1); or say where it is with modulePath.',
  );
}
