import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type ParsedCertificate,
  readTbsCertificateLayout,
  readValidity,
  type TbsCertificateLayout,
} from './certificate.ts';
import { readGeneralNames } from './general-name.ts';
import { EXTENSION_RULES } from './lint-extensions.ts';
import { FIELD_RULES } from './lint-fields.ts';
import { NAME_RULES } from './lint-names.ts';
import type { LintRule, LintSubject } from './lint-rule.ts';
import { readName } from './name.ts';
import { OID } from './oid.ts';
import type { CertificateProfile } from './profile.ts';
import { type PublicKeyInfo, readPublicKey } from './public-key.ts';

/** One broken rule. */
export interface Finding {
  /** As `serial-number-is-positive`. */
  readonly rule: string;
  /** Who says so, as `RFC 5280 §4.1.2.2`. */
  readonly source: string;
  /** What is wrong, as a sentence. */
  readonly message: string;
}

/** What the certificate is held against. */
export interface LintContext {
  /** The CA that is about to sign. */
  readonly issuer: ParsedCertificate;
  readonly profile: CertificateProfile;
  /** The key as the caller has already read and checked it: spares a second look when its SPKI is the certificate's, else unused. */
  readonly publicKey?: PublicKeyInfo;
}

/** Every rule, in the order in which findings come. */
export const LINT_RULES: readonly LintRule[] = [...FIELD_RULES, ...NAME_RULES, ...EXTENSION_RULES];

/**
 * Holds the very bytes that are about to be signed against RFC 5280, the CA/Browser Forum's Baseline Requirements (BR) and
 * the profile. Returns one finding a broken rule, or `tbs-certificate-is-der` alone; empty means clean. Throws nothing for any
 * bytes.
 */
export function lintTbsCertificate(tbs: Uint8Array, context: LintContext): Finding[] {
  try {
    const subject = lintSubject(readTbsCertificateLayout(tbs), context);
    return LINT_RULES.flatMap((rule) => runRule(rule, subject));
  } catch (error) {
    return [finding('tbs-certificate-is-der', 'RFC 5280 §4.1', problemOf(error))];
  }
}

function runRule({ rule, source, check }: LintRule, subject: LintSubject): Finding[] {
  try {
    const message = check(subject);
    return message === undefined ? [] : [finding(rule, source, message)];
  } catch (error) {
    return [finding(rule, source, problemOf(error))];
  }
}

function finding(rule: string, source: string, message: string): Finding {
  return { rule, source, message };
}

/** The readers' own errors are findings; anything else is a fault of ours. */
function problemOf(error: unknown): string {
  if (error instanceof GigvaultError) return error.message;
  throw error;
}

function lintSubject(layout: TbsCertificateLayout, context: LintContext): LintSubject {
  const { issuer, profile } = context;
  // The first of two equal extensions counts; that there are two is a finding of its own.
  const extensions = new Map(
    [...layout.extensions].reverse().map((extension) => [extension.oid, extension]),
  );
  const publicKey = once(() => checkedKey(layout, context.publicKey));
  const subject = once(() => readName(layout.subject));
  const validity = once(() => readValidity(layout.validity));
  const names = once(() => {
    const extension = extensions.get(OID.subjectAltName);
    return extension === undefined ? [] : readGeneralNames(extension.value);
  });
  return {
    layout,
    issuer,
    profile,
    extensions,
    get publicKey() {
      return publicKey();
    },
    get subject() {
      return subject();
    },
    get names() {
      return names();
    },
    get validity() {
      return validity();
    },
  };
}

function checkedKey(layout: TbsCertificateLayout, known: PublicKeyInfo | undefined): PublicKeyInfo {
  const spki = layout.subjectPublicKeyInfo;
  return known?.spki.equals(spki) ? known : readPublicKey(spki);
}

/** Many rules look at the same part, so it is read once; when reading throws, it is read again by the next rule. */
function once<T extends object>(read: () => T): () => T {
  let value: T | undefined;
  return () => {
    value ??= read();
    return value;
  };
}
