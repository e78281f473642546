import { createHash } from 'node:crypto';
import { canonicalJson } from '@gigvault/canonical-json/canonical-json';
import type { KeyUsage } from './extension-values.ts';
import type { GeneralNameType } from './general-name.ts';
import type { KeyType } from './public-key.ts';

/**
 * What certificates of one kind look like. Everything that ends up in a certificate is named here; nothing has a default.
 * A change of any field changes profileHash, and with it what open orders are pinned to (T14).
 */
export interface CertificateProfile {
  /** As `tls-server`. */
  readonly name: string;
  /** Subject keys that are accepted. */
  readonly keyTypes: readonly KeyType[];
  /** keyEncipherment is dropped for keys that are not RSA (RFC 8813 §3). */
  readonly keyUsage: readonly KeyUsage[];
  /** `serverAuth`, `clientAuth`, `OCSPSigning`, … or dotted; at least one. */
  readonly extendedKeyUsage: readonly string[];
  /** notAfter - notBefore when the request names none, ms. */
  readonly defaultValidity: number;
  /** The largest notAfter - notBefore, ms. */
  readonly maxValidity: number;
  /** How far notBefore lies before the time of signing, ms; at most one hour for public certificates. */
  readonly backdate: number;
  /** `commonName`: nothing but an optional CN, which must be one of the names. `empty`: no attribute. `fixed`: what the CA puts there. */
  readonly subject: 'commonName' | 'empty' | 'fixed';
  /** Kinds of names in subjectAltName; empty: certificates have no subjectAltName. */
  readonly nameTypes: readonly GeneralNameType[];
  /** Whether DNS names may start in `*.`. */
  readonly wildcard: boolean;
  /** Dotted certificatePolicies; empty: no such extension. */
  readonly policyIdentifiers: readonly string[];
  /** Whether certificates name a CRL. */
  readonly crlDistributionPoint: boolean;
  /** What authorityInfoAccess names; empty: no such extension. */
  readonly authorityInfoAccess: readonly ('ocsp' | 'caIssuers')[];
  /** Whether certificates carry id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1). */
  readonly ocspNoCheck: boolean;
}

/** The bits of the profile's keyUsage that a key of this type can have (RFC 8813 §3: EC keys do not encipher). */
export function keyUsageFor(profile: CertificateProfile, keyType: KeyType): KeyUsage[] {
  const isRsa = keyType.startsWith('rsa-');
  return profile.keyUsage.filter((usage) => isRsa || !usage.endsWith('Encipherment'));
}

/** SHA-256 (hex) of the profile's canonical JSON: keys sorted, no spaces, lists in their order. */
export function profileHash(profile: CertificateProfile): string {
  return createHash('sha256').update(canonicalJson(profile)).digest('hex');
}
