import { DerReader } from './der.ts';
import type { Extension } from './extension.ts';
import {
  readAuthorityInfoAccess,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCertificatePolicies,
  readCrlDistributionPoints,
  readExtendedKeyUsage,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from './extension-values.ts';
import type { LintRule, LintSubject } from './lint-rule.ts';
import { OID } from './oid.ts';
import { keyUsageFor } from './profile.ts';

/** What an end entity's certificate may hold, and whether it is critical; undefined: it depends on the subject. */
const KNOWN: ReadonlyMap<string, boolean | undefined> = new Map<string, boolean | undefined>([
  [OID.keyUsage, true],
  [OID.extKeyUsage, false],
  [OID.basicConstraints, true],
  [OID.subjectKeyIdentifier, false],
  [OID.authorityKeyIdentifier, false],
  [OID.authorityInfoAccess, false],
  [OID.ocspNoCheck, false],
  [OID.certificatePolicies, false],
  [OID.subjectAltName, undefined],
  [OID.crlDistributionPoints, false],
]);

/** Rules about the other extensions. */
export const EXTENSION_RULES: readonly LintRule[] = [
  {
    rule: 'extensions-are-distinct',
    source: 'RFC 5280 §4.2',
    check: ({ layout, extensions }) =>
      layout.extensions.length === extensions.size ? undefined : 'An extension stands twice.',
  },
  {
    rule: 'no-unknown-critical-extension',
    source: 'RFC 5280 §4.2',
    check: ({ layout }) => findUnknown(layout.extensions, true),
  },
  {
    rule: 'no-unexpected-extension',
    source: 'BR §7.1.2.7.6',
    check: ({ layout }) => findUnknown(layout.extensions, false),
  },
  {
    rule: 'criticality-is-as-specified',
    source: 'RFC 5280 §4.2.1',
    check: ({ layout }) => {
      const wrong = layout.extensions.find(
        ({ oid, critical }) => (KNOWN.get(oid) ?? critical) !== critical,
      );
      return wrong && `Extension ${wrong.oid} is ${wrong.critical ? '' : 'not '}critical.`;
    },
  },
  {
    rule: 'authority-key-identifier-is-issuers',
    source: 'RFC 5280 §4.2.1.1',
    check: checkAuthorityKey,
  },
  {
    rule: 'subject-key-identifier-is-of-key',
    source: 'RFC 5280 §4.2.1.2',
    check: ({ extensions, publicKey }) => {
      const extension = extensions.get(OID.subjectKeyIdentifier);
      if (extension === undefined) return 'There is no subjectKeyIdentifier.';
      const right = readSubjectKeyIdentifier(extension.value).equals(publicKey.keyIdentifier);
      return right ? undefined : 'subjectKeyIdentifier is not that of the key.';
    },
  },
  {
    rule: 'key-usage-is-as-profile-says',
    source: 'RFC 5280 §4.2.1.3',
    check: ({ extensions, profile, publicKey }) => {
      const extension = extensions.get(OID.keyUsage);
      if (extension === undefined) return 'There is no keyUsage.';
      const wanted = keyUsageFor(profile, publicKey.keyType);
      return difference('keyUsage', readKeyUsage(extension.value), wanted);
    },
  },
  {
    rule: 'extended-key-usage-is-as-profile-says',
    source: 'RFC 5280 §4.2.1.12',
    check: ({ extensions, profile }) => {
      const extension = extensions.get(OID.extKeyUsage);
      if (extension === undefined) return 'There is no extKeyUsage.';
      return difference(
        'extKeyUsage',
        readExtendedKeyUsage(extension.value),
        profile.extendedKeyUsage,
      );
    },
  },
  {
    rule: 'basic-constraints-are-of-an-end-entity',
    source: 'RFC 5280 §4.2.1.9',
    check: ({ extensions }) => {
      const extension = extensions.get(OID.basicConstraints);
      if (extension === undefined) return 'There are no basicConstraints.';
      return readBasicConstraints(extension.value).isCa
        ? 'basicConstraints say that it is a CA.'
        : undefined;
    },
  },
  {
    rule: 'crl-distribution-point-is-as-profile-says',
    source: 'RFC 5280 §4.2.1.13',
    check: checkCrlPointer,
  },
  {
    rule: 'authority-info-access-is-as-profile-says',
    source: 'RFC 5280 §4.2.2.1',
    check: checkInfoAccess,
  },
  {
    rule: 'ocsp-nocheck-is-as-profile-says',
    source: 'RFC 6960 §4.2.2.2.1',
    check: ({ extensions, profile }) => {
      const extension = extensions.get(OID.ocspNoCheck);
      if ((extension !== undefined) !== profile.ocspNoCheck) {
        return `id-pkix-ocsp-nocheck is ${extension === undefined ? 'missing' : 'not in the profile'}.`;
      }
      return extension !== undefined && extension.value.toString('hex') !== '0500'
        ? 'id-pkix-ocsp-nocheck is not NULL.'
        : undefined;
    },
  },
  {
    rule: 'certificate-policies-are-as-profile-says',
    source: 'RFC 5280 §4.2.1.4',
    check: ({ extensions, profile }) => {
      const extension = extensions.get(OID.certificatePolicies);
      const found = extension === undefined ? [] : readCertificatePolicies(extension.value);
      return difference('certificatePolicies', found, profile.policyIdentifiers);
    },
  },
  {
    rule: 'no-empty-sequences',
    source: 'RFC 5280 §4.2.1',
    check: ({ layout }) => {
      const empty = layout.extensions.find(
        ({ oid, value }) => oid !== OID.basicConstraints && isEmpty(value),
      );
      return empty && `Extension ${empty.oid} holds an empty list.`;
    },
  },
];

function findUnknown(
  extensions: readonly Extension[],
  wantedCritical: boolean,
): string | undefined {
  const unknown = extensions.find(
    ({ oid, critical }) => critical === wantedCritical && !KNOWN.has(oid),
  );
  return unknown && `Extension ${unknown.oid} is not known.`;
}

function checkAuthorityKey({ extensions, issuer }: LintSubject): string | undefined {
  const extension = extensions.get(OID.authorityKeyIdentifier);
  if (extension === undefined) return 'There is no authorityKeyIdentifier.';
  if (issuer.keyIdentifier === undefined) return 'The issuer has no subjectKeyIdentifier.';
  const found = readAuthorityKeyIdentifier(extension.value);
  return found?.equals(issuer.keyIdentifier)
    ? undefined
    : 'authorityKeyIdentifier is not that of the issuer.';
}

function checkCrlPointer({ extensions, profile }: LintSubject): string | undefined {
  const extension = extensions.get(OID.crlDistributionPoints);
  if ((extension !== undefined) !== profile.crlDistributionPoint) {
    return `cRLDistributionPoints is ${extension === undefined ? 'missing' : 'not in the profile'}.`;
  }
  if (extension === undefined) return undefined;
  const urls = readCrlDistributionPoints(extension.value);
  return urls.length === 1 && isHttp(urls[0]!)
    ? undefined
    : 'cRLDistributionPoints is not one http URL.';
}

function checkInfoAccess({ extensions, profile }: LintSubject): string | undefined {
  const extension = extensions.get(OID.authorityInfoAccess);
  const found =
    extension === undefined
      ? { ocsp: [], caIssuers: [] }
      : readAuthorityInfoAccess(extension.value);
  for (const method of ['ocsp', 'caIssuers'] as const) {
    const wanted = profile.authorityInfoAccess.includes(method) ? 1 : 0;
    if (found[method].length !== wanted)
      return `authorityInfoAccess has not ${wanted} location for ${method}.`;
    if (!found[method].every(isHttp)) return `The location for ${method} is not an http URL.`;
  }
  return undefined;
}

/** BR §7.1.2.7.7: plain http, since https would need the very status that it serves. */
function isHttp(url: string): boolean {
  return URL.canParse(url) && new URL(url).protocol === 'http:';
}

function difference(
  what: string,
  found: readonly string[],
  wanted: readonly string[],
): string | undefined {
  const same = found.length === wanted.length && wanted.every((item) => found.includes(item));
  return same
    ? undefined
    : `${what} is ${found.join(', ') || 'empty'}, not ${wanted.join(', ') || 'empty'}.`;
}

function isEmpty(value: Buffer): boolean {
  const reader = new DerReader(value);
  const empty = reader.content().length === 0;
  reader.expectEnd();
  // NULL is empty by its nature.
  return empty && value[0] !== 0x05;
}
