import { DerReader } from './der.ts';
import { TAG } from './der-tag.ts';
import type { LintRule, LintSubject } from './lint-rule.ts';
import { attributeProblem } from './name.ts';
import { signatureAlgorithm } from './signature.ts';

const MAX_SERIAL_OCTETS = 20;
const MIN_SERIAL_BITS = 64;
const FIRST_GENERALIZED_YEAR_MS = Date.UTC(2050, 0, 1);

/** Rules about the basic fields of TBSCertificate. */
export const FIELD_RULES: readonly LintRule[] = [
  {
    rule: 'version-is-v3',
    source: 'RFC 5280 §4.1.2.1',
    check: ({ layout }) => (layout.version === 3 ? undefined : `The version is ${layout.version}.`),
  },
  {
    rule: 'serial-number-is-positive',
    source: 'RFC 5280 §4.1.2.2',
    check: ({ layout: { serialNumber } }) =>
      serialNumber[0]! < 0x80 && serialNumber.some((octet) => octet !== 0)
        ? undefined
        : 'The serial number is zero or negative.',
  },
  {
    rule: 'serial-number-is-below-2-to-159',
    source: 'RFC 5280 §4.1.2.2',
    check: ({ layout: { serialNumber } }) =>
      serialNumber.length > MAX_SERIAL_OCTETS
        ? 'The serial number has more than 20 octets.'
        : undefined,
  },
  {
    rule: 'serial-number-is-unpredictable',
    source: 'BR §7.1',
    check: ({ layout: { serialNumber } }) =>
      bitLength(serialNumber) < MIN_SERIAL_BITS
        ? 'The serial number has fewer than 64 bits.'
        : undefined,
  },
  {
    rule: 'signature-algorithm-matches-issuer-key',
    source: 'RFC 5280 §4.1.2.3',
    check: ({ layout, issuer }) =>
      layout.signature.equals(signatureAlgorithm(issuer.publicKey.keyType))
        ? undefined
        : 'The signature algorithm is not the one that the issuer signs with.',
  },
  {
    rule: 'issuer-name-is-issuers-subject',
    source: 'RFC 5280 §4.1.2.4',
    check: ({ layout, issuer }) =>
      layout.issuer.equals(issuer.subject)
        ? undefined
        : 'The issuer name differs from the subject of the issuer.',
  },
  {
    rule: 'issuer-is-a-ca',
    source: 'RFC 5280 §4.2.1.9',
    check: ({ issuer }) => (issuer.isCa ? undefined : 'The issuer is not a CA.'),
  },
  {
    rule: 'validity-is-in-order',
    source: 'RFC 5280 §4.1.2.5',
    check: ({ validity }) =>
      validity.notBefore < validity.notAfter ? undefined : 'notAfter is not later than notBefore.',
  },
  {
    rule: 'validity-is-within-profile',
    source: 'BR §6.3.2',
    check: ({ validity: { notBefore, notAfter }, profile }) =>
      notAfter - notBefore <= profile.maxValidity
        ? undefined
        : `The validity is longer than the ${profile.maxValidity} ms of profile ${profile.name}.`,
  },
  {
    rule: 'not-before-is-not-before-issuers',
    source: 'RFC 5280 §6.1.3',
    check: ({ validity, issuer }) =>
      validity.notBefore >= issuer.notBefore
        ? undefined
        : 'notBefore is earlier than that of the issuer.',
  },
  {
    rule: 'not-after-is-not-after-issuers',
    source: 'RFC 5280 §6.1.3',
    check: ({ validity, issuer }) =>
      validity.notAfter <= issuer.notAfter
        ? undefined
        : 'notAfter is later than that of the issuer.',
  },
  {
    rule: 'times-are-utctime-until-2049',
    source: 'RFC 5280 §4.1.2.5',
    check: checkTimeEncodings,
  },
  {
    rule: 'subject-attributes-are-well-formed',
    source: 'RFC 5280 §4.1.2.6',
    check: ({ subject }) => subject.map(attributeProblem).find((problem) => problem !== undefined),
  },
  {
    rule: 'subject-is-as-profile-says',
    source: 'BR §7.1.4',
    check: checkSubject,
  },
  {
    rule: 'key-type-is-allowed',
    source: 'BR §6.1.5',
    check: ({ publicKey, profile }) =>
      profile.keyTypes.includes(publicKey.keyType)
        ? undefined
        : `Profile ${profile.name} does not take ${publicKey.keyType} keys.`,
  },
  {
    rule: 'key-is-not-the-issuers',
    source: 'BR §6.1.1.3',
    check: ({ layout, issuer }) =>
      layout.subjectPublicKeyInfo.equals(issuer.spki)
        ? 'The key is that of the issuer.'
        : undefined,
  },
];

function bitLength(serialNumber: Buffer): number {
  const hex = serialNumber.toString('hex').replace(/^0+/, '');
  return hex === '' ? 0 : (hex.length - 1) * 4 + Number.parseInt(hex[0]!, 16).toString(2).length;
}

function checkTimeEncodings({ layout }: LintSubject): string | undefined {
  const fields = new DerReader(layout.validity).sequence();
  while (!fields.done) {
    const generalized = fields.is(TAG.generalizedTime);
    if (generalized !== fields.time() >= FIRST_GENERALIZED_YEAR_MS) {
      return 'A time is UTCTime from 2050 or GeneralizedTime before.';
    }
  }
  return undefined;
}

function checkSubject({ subject, profile }: LintSubject): string | undefined {
  if (profile.subject === 'fixed') return undefined;
  if (profile.subject === 'empty')
    return subject.length === 0 ? undefined : 'The subject is not empty.';
  const onlyName = subject.length === 0 || (subject.length === 1 && subject[0]!.type === 'CN');
  return onlyName ? undefined : 'The subject holds more than a common name.';
}
