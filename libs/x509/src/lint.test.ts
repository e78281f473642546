import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  leafFields,
  NOW,
  newAuthority,
  newKey,
  OCSP_SIGNER,
  TLS_SERVER,
} from '../test/authority.ts';
import { readTbsCertificateLayout, type TbsCertificateLayout } from './certificate.ts';
import { type CertificateFields, compileTemplate } from './certificate-template.ts';
import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  generalizedTime,
  integer,
  nullValue,
  oid,
  sequence,
  set,
  tlv,
  utcOrGeneralizedTime,
  utf8String,
} from './der.ts';
import { type Extension, encodeExtension } from './extension.ts';
import {
  encodeAuthorityInfoAccess,
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeCertificatePolicies,
  encodeCrlDistributionPoint,
  encodeExtendedKeyUsage,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from './extension-values.ts';
import { encodeGeneralNames, type GeneralName } from './general-name.ts';
import { LINT_RULES, lintTbsCertificate } from './lint.ts';
import { encodeName } from './name.ts';
import { OID } from './oid.ts';
import type { CertificateProfile } from './profile.ts';
import { publicKeyInfoOf } from './public-key.ts';
import { signatureAlgorithm } from './signature.ts';

const authority = newAuthority();
const key = newKey();
const DAY = 86_400_000;
const clean = compileTemplate(TLS_SERVER, authority.info).build(leafFields(key));

/** A rule, bytes that break it, and the profile when it is not TLS_SERVER. */
type Broken = readonly [string, () => Buffer, CertificateProfile?];

interface Parts extends Omit<TbsCertificateLayout, 'version' | 'serialNumber'> {
  readonly version: Buffer;
  readonly serialNumber: Buffer;
}

/** The clean certificate with some fields changed, encoded without any check. */
function changed(change: Partial<Parts>, from: Buffer = clean): Buffer {
  const layout = readTbsCertificateLayout(from);
  const parts: Parts = {
    ...layout,
    version: contextConstructed(0, integer(2)),
    serialNumber: tlv(2, layout.serialNumber),
    ...change,
  };
  const extensions = parts.extensions.map(({ oid: type, critical, value }) =>
    encodeExtension(type, critical, value),
  );
  return sequence(
    parts.version,
    parts.serialNumber,
    parts.signature,
    parts.issuer,
    parts.validity,
    parts.subject,
    parts.subjectPublicKeyInfo,
    extensions.length === 0 ? Buffer.alloc(0) : contextConstructed(3, sequence(...extensions)),
  );
}

const cleanExtensions = readTbsCertificateLayout(clean).extensions;
const withExtension = (type: string, value: Buffer, critical?: boolean) =>
  changed({
    extensions: cleanExtensions.map(
      (e): Extension =>
        e.oid === type ? { oid: type, critical: critical ?? e.critical, value } : e,
    ),
  });
const without = (type: string) =>
  changed({ extensions: cleanExtensions.filter((e) => e.oid !== type) });
const withExtra = (...extra: Extension[]) =>
  changed({ extensions: [...cleanExtensions, ...extra] });
const withCritical = (type: string, critical: boolean) =>
  changed({ extensions: cleanExtensions.map((e) => (e.oid === type ? { ...e, critical } : e)) });
const withNames = (...names: GeneralName[]) =>
  withExtension(
    OID.subjectAltName,
    encodeGeneralNames([{ type: 'dns', value: 'api.example.com' }, ...names]),
  );
const withTimes = (notBefore: Buffer, notAfter: Buffer) =>
  changed({ validity: sequence(notBefore, notAfter) });
const time = utcOrGeneralizedTime;
const built = (profile: CertificateProfile, change: Partial<CertificateFields>) =>
  compileTemplate(profile, authority.info).build(leafFields(key, change));
const rules = (
  tbs: Buffer,
  profile: CertificateProfile = TLS_SERVER,
  issuer = authority.certificate,
) => lintTbsCertificate(tbs, { issuer, profile }).map(({ rule }) => rule);

const named = ([rule, tbs, profile]: Broken) => ({ rule, tbs, profile });

describe('lintTbsCertificate', () => {
  it('finds nothing in what the template builds', () => {
    expect(changed({}).equals(clean)).toBe(true);
    expect(rules(clean)).toEqual([]);
    expect(rules(built(TLS_SERVER, { subject: [] }))).toEqual([]);
    expect(rules(built(TLS_SERVER, { publicKey: publicKeyInfoOf(newKey('rsa-2048')) }))).toEqual(
      [],
    );
    const responder = {
      subject: [
        { type: 'O', value: 'x' },
        { type: 'CN', value: 'OCSP' },
      ],
      subjectAltName: [],
    };
    expect(rules(built(OCSP_SIGNER, responder), OCSP_SIGNER)).toEqual([]);
    const policies = { ...TLS_SERVER, policyIdentifiers: ['2.23.140.1.2.1'] };
    expect(rules(built(policies, {}), policies)).toEqual([]);
    const service: CertificateProfile = {
      ...TLS_SERVER,
      subject: 'empty',
      nameTypes: ['uri'],
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
    };
    const spiffe: GeneralName = { type: 'uri', value: 'spiffe://gigvault.local/service/ca' };
    expect(rules(built(service, { subject: [], subjectAltName: [spiffe] }), service)).toEqual([]);
  });

  it('uses a key that was read before only when it is the same', () => {
    const context = { issuer: authority.certificate, profile: TLS_SERVER };
    const other = { ...publicKeyInfoOf(newKey('ed25519')) };
    expect(lintTbsCertificate(clean, { ...context, publicKey: publicKeyInfoOf(key) })).toEqual([]);
    expect(lintTbsCertificate(clean, { ...context, publicKey: other })).toEqual([]);
  });

  const dns = (value: string): GeneralName => ({ type: 'dns', value });
  const BROKEN: readonly Broken[] = [
    ['version-is-v3', () => changed({ version: contextConstructed(0, integer(1)) })],
    ['version-is-v3', () => changed({ version: Buffer.alloc(0) })],
    ['serial-number-is-positive', () => changed({ serialNumber: integer(-(1n << 100n)) })],
    ['serial-number-is-below-2-to-159', () => changed({ serialNumber: integer(1n << 159n) })],
    ['serial-number-is-unpredictable', () => changed({ serialNumber: integer((1n << 63n) - 1n) })],
    [
      'signature-algorithm-matches-issuer-key',
      () => changed({ signature: signatureAlgorithm('ec-p384') }),
    ],
    [
      'issuer-name-is-issuers-subject',
      () => changed({ issuer: encodeName([{ type: 'CN', value: 'Test Issuing CA' }]) }),
    ],
    ['validity-is-in-order', () => withTimes(time(NOW), time(NOW))],
    ['validity-is-within-profile', () => withTimes(time(NOW), time(NOW + 90 * DAY + 1000))],
    ['not-before-is-not-before-issuers', () => withTimes(time(NOW - 2 * DAY), time(NOW + DAY))],
    [
      'not-after-is-not-after-issuers',
      () => withTimes(time(NOW + 1800 * DAY), time(NOW + 1826 * DAY)),
    ],
    ['times-are-utctime-until-2049', () => withTimes(time(NOW), generalizedTime(NOW + DAY))],
    [
      'subject-is-as-profile-says',
      () => changed({ subject: encodeName([{ type: 'O', value: 'x' }]) }),
    ],
    [
      'key-is-not-the-issuers',
      () => built(TLS_SERVER, { publicKey: publicKeyInfoOf(authority.key) }),
    ],
    [
      'subject-alt-name-is-critical-iff-subject-is-empty',
      () => withCritical(OID.subjectAltName, true),
    ],
    ['subject-alt-name-is-critical-iff-subject-is-empty', () => changed({ subject: sequence() })],
    [
      'common-name-is-among-names',
      () => changed({ subject: encodeName([{ type: 'CN', value: 'b.example' }]) }),
    ],
    ['name-types-are-allowed', () => withNames({ type: 'email', value: 'a@b.example' })],
    ['dns-names-are-well-formed', () => withNames(dns('Upper.example'))],
    ['dns-names-are-well-formed', () => withNames(dns('under_score.example'))],
    ['dns-names-are-well-formed', () => withNames(dns('192.0.2.7'))],
    ['names-are-distinct', () => withNames(dns('api.example.com'))],
    [
      'wildcards-are-allowed',
      () => withNames(dns('*.example.com')),
      { ...TLS_SERVER, wildcard: false },
    ],
    [
      'authority-key-identifier-is-issuers',
      () =>
        withExtension(OID.authorityKeyIdentifier, encodeAuthorityKeyIdentifier(Buffer.alloc(20))),
    ],
    ['authority-key-identifier-is-issuers', () => without(OID.authorityKeyIdentifier)],
    [
      'subject-key-identifier-is-of-key',
      () => withExtension(OID.subjectKeyIdentifier, encodeSubjectKeyIdentifier(Buffer.alloc(20))),
    ],
    ['subject-key-identifier-is-of-key', () => without(OID.subjectKeyIdentifier)],
    [
      'key-usage-is-as-profile-says',
      () => withExtension(OID.keyUsage, encodeKeyUsage(['digitalSignature', 'keyCertSign'])),
    ],
    [
      'key-usage-is-as-profile-says',
      () => withExtension(OID.keyUsage, encodeKeyUsage(['digitalSignature', 'keyEncipherment'])),
    ],
    ['key-usage-is-as-profile-says', () => without(OID.keyUsage)],
    ['criticality-is-as-specified', () => withCritical(OID.keyUsage, false)],
    ['criticality-is-as-specified', () => withCritical(OID.extKeyUsage, true)],
    [
      'extended-key-usage-is-as-profile-says',
      () => withExtension(OID.extKeyUsage, encodeExtendedKeyUsage(['serverAuth', 'clientAuth'])),
    ],
    ['extended-key-usage-is-as-profile-says', () => without(OID.extKeyUsage)],
    [
      'basic-constraints-are-of-an-end-entity',
      () => withExtension(OID.basicConstraints, encodeBasicConstraints(true, 0)),
    ],
    [
      'basic-constraints-are-of-an-end-entity',
      () => withExtension(OID.basicConstraints, sequence(boolean(false))),
    ],
    ['basic-constraints-are-of-an-end-entity', () => without(OID.basicConstraints)],
    [
      'crl-distribution-point-is-as-profile-says',
      () =>
        withExtension(
          OID.crlDistributionPoints,
          encodeCrlDistributionPoint('https://a.example/0.crl'),
        ),
    ],
    ['crl-distribution-point-is-as-profile-says', () => without(OID.crlDistributionPoints)],
    [
      'authority-info-access-is-as-profile-says',
      () =>
        withExtension(
          OID.authorityInfoAccess,
          encodeAuthorityInfoAccess({ ocsp: ['http://a.example'], caIssuers: [] }),
        ),
    ],
    [
      'authority-info-access-is-as-profile-says',
      () =>
        withExtension(
          OID.authorityInfoAccess,
          encodeAuthorityInfoAccess({
            ocsp: ['ldap://a.example'],
            caIssuers: ['http://a.example'],
          }),
        ),
    ],
    [
      'ocsp-nocheck-is-as-profile-says',
      () => withExtra({ oid: OID.ocspNoCheck, critical: false, value: nullValue() }),
    ],
    [
      'certificate-policies-are-as-profile-says',
      () =>
        withExtra({
          oid: OID.certificatePolicies,
          critical: false,
          value: encodeCertificatePolicies(['1.2.3']),
        }),
    ],
    [
      'no-unexpected-extension',
      () => withExtra({ oid: '1.2.3', critical: false, value: nullValue() }),
    ],
    [
      'no-unknown-critical-extension',
      () => withExtra({ oid: '1.2.3', critical: true, value: nullValue() }),
    ],
  ];

  it.each(BROKEN.map(named))(
    'finds that $rule does not hold, and nothing else',
    ({ rule, tbs, profile }) => {
      expect(rules(tbs(), profile)).toEqual([rule]);
    },
  );

  const SEVERAL: readonly Broken[] = [
    ['issuer-is-a-ca', () => clean],
    ['subject-alt-name-is-present', () => without(OID.subjectAltName)],
    [
      'extensions-are-distinct',
      () => withExtra(...cleanExtensions.filter((e) => e.oid === OID.keyUsage)),
    ],
    ['serial-number-is-positive', () => changed({ serialNumber: integer(0) })],
    [
      'ip-addresses-are-4-or-16-octets',
      () => withExtension(OID.subjectAltName, sequence(contextPrimitive(7, Buffer.alloc(5)))),
    ],
    [
      'mail-addresses-and-uris-are-well-formed',
      () => withNames({ type: 'uri', value: 'relative' }),
    ],
    ['no-empty-sequences', () => withExtension(OID.extKeyUsage, sequence())],
    [
      'subject-attributes-are-well-formed',
      () => changed({ subject: sequence(set(sequence(oid(OID.commonName), utf8String('a\0b')))) }),
    ],
    [
      'key-type-is-allowed',
      () =>
        built(
          { ...TLS_SERVER, keyTypes: ['ed25519'] },
          { publicKey: publicKeyInfoOf(newKey('ed25519')) },
        ),
    ],
    [
      'key-type-is-allowed',
      () =>
        changed({
          subjectPublicKeyInfo: sequence(sequence(oid('1.2.3')), bitString(Buffer.of(1))),
        }),
    ],
    [
      'common-name-is-among-names',
      () => changed({ subject: sequence(set(sequence(oid(OID.commonName), integer(1)))) }),
    ],
  ];

  it.each(SEVERAL.map(named))(
    'finds that $rule does not hold, among others',
    ({ rule, tbs, profile }) => {
      const issuer =
        rule === 'issuer-is-a-ca'
          ? { ...authority.certificate, isCa: false }
          : authority.certificate;
      expect(rules(tbs(), profile, issuer)).toContain(rule);
    },
  );

  it('has a test that breaks each rule, and a source for each — covers: L9', () => {
    const broken = new Set([...BROKEN, ...SEVERAL].map(([rule]) => rule));
    expect(LINT_RULES.map(({ rule }) => rule).filter((rule) => !broken.has(rule))).toEqual([]);
    expect(new Set(LINT_RULES.map(({ rule }) => rule)).size).toBe(LINT_RULES.length);
    for (const { source } of LINT_RULES) expect(source).toMatch(/^(RFC \d+|BR) §\d/);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a Certificate', sequence(clean, signatureAlgorithm('ec-p256'), bitString(Buffer.of(1)))],
    ['trailing bytes', Buffer.concat([clean, Buffer.of(0)])],
  ])('finds that %s is no TBSCertificate', (_, tbs) => {
    expect(rules(tbs)).toEqual(['tbs-certificate-is-der']);
  });

  it('throws nothing for changed bytes (covers: T23)', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: clean.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const bytes = Buffer.from(clean);
          bytes[at]! ^= change;
          expect(Array.isArray(rules(bytes))).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
