import { GENERIC } from './generic.ts';
import { LUNA } from './luna.ts';
import { SOFTHSM } from './softhsm.ts';
import { TPM2_PKCS11 } from './tpm2-pkcs11.ts';
import type { Vendor } from './vendor.ts';

const VENDORS: readonly Vendor[] = [SOFTHSM, TPM2_PKCS11, LUNA];

/** The file of the vendor who made the token, else of the one who made the library, else the generic one. */
export function vendorOf(token: string, library: string): Vendor {
  return (
    VENDORS.find(({ manufacturer }) => manufacturer.test(token)) ??
    VENDORS.find(({ manufacturer }) => manufacturer.test(library)) ??
    GENERIC
  );
}

/** What a library may see of an environment: a driver needs nothing else of it. */
export function vendorEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const names = [...VENDORS, GENERIC].flatMap(({ variables }) => variables);
  const found = names.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}
