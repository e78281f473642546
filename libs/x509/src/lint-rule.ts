import type { ParsedCertificate, TbsCertificateLayout } from './certificate.ts';
import type { Extension } from './extension.ts';
import type { GeneralName } from './general-name.ts';
import type { Attribute } from './name.ts';
import type { CertificateProfile } from './profile.ts';
import type { PublicKeyInfo } from './public-key.ts';

/** What a rule looks at. Getters throw DerError or BAD_PUBLIC_KEY when the part is malformed: that is a finding of the rule. */
export interface LintSubject {
  readonly layout: TbsCertificateLayout;
  readonly issuer: ParsedCertificate;
  readonly profile: CertificateProfile;
  /** First of its kind, by object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>;
  readonly publicKey: PublicKeyInfo;
  readonly subject: readonly Attribute[];
  /** Empty when there is no subjectAltName. */
  readonly names: readonly GeneralName[];
  /** Unix ms. */
  readonly validity: { readonly notBefore: number; readonly notAfter: number };
}

/** One thing that must hold of every certificate. */
export interface LintRule {
  /** As `serial-number-is-positive`. */
  readonly rule: string;
  /** As `RFC 5280 §4.1.2.2`. */
  readonly source: string;
  /** What is wrong, as a sentence, or undefined. */
  check(subject: LintSubject): string | undefined;
}
