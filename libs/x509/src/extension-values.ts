import {
  bitString,
  boolean,
  contextConstructed,
  contextPrimitive,
  DerError,
  DerReader,
  integer,
  octetString,
  oid,
  sequence,
} from './der.ts';
import { TAG } from './der-tag.ts';
import { encodeGeneralName, readGeneralName } from './general-name.ts';
import { EXTENDED_KEY_USAGE, OID } from './oid.ts';

const KEY_USAGE_BITS = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;

/** The bits of keyUsage (RFC 5280 §4.2.1.3). */
export type KeyUsage = (typeof KEY_USAGE_BITS)[number];

/** KeyUsage. Throws DerError when no bit is set. */
export function encodeKeyUsage(usages: readonly KeyUsage[]): Buffer {
  const positions = usages.map((usage) => KEY_USAGE_BITS.indexOf(usage));
  const highest = Math.max(...positions);
  if (highest < 0 || positions.includes(-1))
    throw new DerError('keyUsage needs known bits, at least one.');
  const octets = Buffer.alloc((highest >> 3) + 1);
  for (const position of positions) octets[position >> 3]! |= 0x80 >> (position & 7);
  // Named bit lists drop their trailing zero bits (X.690 §11.2.2).
  return bitString(octets, 7 - (highest & 7));
}

/** The set bits in order. Throws DerError when none is set or the encoding has trailing zero bits. */
export function readKeyUsage(value: Uint8Array): KeyUsage[] {
  const reader = new DerReader(value);
  const { unusedBits, octets } = reader.bitString();
  reader.expectEnd();
  const count = octets.length * 8 - unusedBits;
  const isSet = (bit: number) => (octets[bit >> 3]! & (0x80 >> (bit & 7))) !== 0;
  if (count === 0 || count > KEY_USAGE_BITS.length || !isSet(count - 1)) {
    throw new DerError('keyUsage is malformed.');
  }
  return KEY_USAGE_BITS.filter((_, bit) => bit < count && isSet(bit));
}

const PURPOSE_OF_OID = new Map<string, string>(
  Object.entries(EXTENDED_KEY_USAGE).map(([name, dotted]) => [dotted, name]),
);

/** ExtKeyUsageSyntax from names (`serverAuth`, …) or dotted object identifiers. Throws DerError for others and for none. */
export function encodeExtendedKeyUsage(usages: readonly string[]): Buffer {
  if (usages.length === 0) throw new DerError('extKeyUsage needs at least one purpose.');
  const purposes: Readonly<Record<string, string>> = EXTENDED_KEY_USAGE;
  return sequence(...usages.map((usage) => oid(purposes[usage] ?? usage)));
}

/** The purposes by name, or dotted when they have none. Throws DerError when empty. */
export function readExtendedKeyUsage(value: Uint8Array): string[] {
  return readAll(value, (list) => {
    const dotted = list.oid();
    return PURPOSE_OF_OID.get(dotted) ?? dotted;
  });
}

/** BasicConstraints (RFC 5280 §4.2.1.9); an end entity's is an empty SEQUENCE. */
export function encodeBasicConstraints(isCa: boolean, pathLenConstraint?: number): Buffer {
  if (!isCa) return sequence();
  if (pathLenConstraint === undefined) return sequence(boolean(true));
  return sequence(boolean(true), integer(pathLenConstraint));
}

/** Reads BasicConstraints; an encoded cA FALSE is refused, since DER leaves defaults out. */
export function readBasicConstraints(value: Uint8Array): {
  readonly isCa: boolean;
  readonly pathLenConstraint?: number;
} {
  const outer = new DerReader(value);
  const fields = outer.sequence();
  outer.expectEnd();
  if (fields.done) return { isCa: false };
  if (!fields.boolean()) throw new DerError('A default value is encoded.');
  if (fields.done) return { isCa: true };
  const pathLenConstraint = fields.smallInteger();
  fields.expectEnd();
  return { isCa: true, pathLenConstraint };
}

/** AuthorityKeyIdentifier with keyIdentifier only (RFC 5280 §4.2.1.1). */
export function encodeAuthorityKeyIdentifier(keyIdentifier: Uint8Array): Buffer {
  return sequence(contextPrimitive(0, keyIdentifier));
}

/** keyIdentifier, or undefined when the value names the issuer and serial number only. */
export function readAuthorityKeyIdentifier(value: Uint8Array): Buffer | undefined {
  const outer = new DerReader(value);
  const fields = outer.sequence();
  outer.expectEnd();
  return fields.is(0x80) ? fields.content(0x80) : undefined;
}

/** SubjectKeyIdentifier. */
export function encodeSubjectKeyIdentifier(keyIdentifier: Uint8Array): Buffer {
  return octetString(keyIdentifier);
}

/** SubjectKeyIdentifier's octets. */
export function readSubjectKeyIdentifier(value: Uint8Array): Buffer {
  const reader = new DerReader(value);
  const octets = reader.octetString();
  reader.expectEnd();
  return octets;
}

/** CRLDistributionPoints with one point and one URI in fullName (RFC 5280 §4.2.1.13). */
export function encodeCrlDistributionPoint(url: string): Buffer {
  const fullName = contextConstructed(0, encodeGeneralName({ type: 'uri', value: url }));
  return sequence(sequence(contextConstructed(0, fullName)));
}

/** The URIs in the fullNames of all points. */
export function readCrlDistributionPoints(value: Uint8Array): string[] {
  return readAll(value, (list) => {
    const point = list.sequence();
    return readFullName(point.optionalContext(0));
  }).flat();
}

/** The URIs of a DistributionPointName; none when it is absent or relative to the issuer. */
export function readFullName(distributionPoint: DerReader | undefined): string[] {
  const names = distributionPoint?.optionalContext(0);
  const urls: string[] = [];
  while (names !== undefined && !names.done) {
    const name = readGeneralName(names);
    if (name?.type === 'uri') urls.push(name.value);
  }
  return urls;
}

/** Where a certificate points: URLs of id-ad-ocsp and id-ad-caIssuers, in order. */
export interface AuthorityInfoAccess {
  readonly ocsp: readonly string[];
  readonly caIssuers: readonly string[];
}

/** AuthorityInfoAccessSyntax (RFC 5280 §4.2.2.1). Throws DerError when both lists are empty. */
export function encodeAuthorityInfoAccess({ ocsp, caIssuers }: AuthorityInfoAccess): Buffer {
  const describe = (method: string) => (url: string) =>
    sequence(oid(method), encodeGeneralName({ type: 'uri', value: url }));
  const descriptions = [
    ...ocsp.map(describe(OID.adOcsp)),
    ...caIssuers.map(describe(OID.adCaIssuers)),
  ];
  if (descriptions.length === 0) throw new DerError('authorityInfoAccess needs a location.');
  return sequence(...descriptions);
}

/** Reads AuthorityInfoAccessSyntax; other methods and locations that are not URIs are skipped. */
export function readAuthorityInfoAccess(value: Uint8Array): AuthorityInfoAccess {
  const found = readAll(value, (list) => {
    const fields = list.sequence();
    const method = fields.oid();
    const location = readGeneralName(fields);
    fields.expectEnd();
    return { method, url: location?.type === 'uri' ? location.value : undefined };
  });
  const urls = (method: string) =>
    found.flatMap((d) => (d.method === method && d.url !== undefined ? [d.url] : []));
  return { ocsp: urls(OID.adOcsp), caIssuers: urls(OID.adCaIssuers) };
}

/** CertificatePolicies without qualifiers (RFC 5280 §4.2.1.4). Throws DerError when empty. */
export function encodeCertificatePolicies(policyIdentifiers: readonly string[]): Buffer {
  if (policyIdentifiers.length === 0) throw new DerError('certificatePolicies needs a policy.');
  return sequence(...policyIdentifiers.map((policy) => sequence(oid(policy))));
}

/** The policy identifiers, dotted; qualifiers are skipped. */
export function readCertificatePolicies(value: Uint8Array): string[] {
  return readAll(value, (list) => list.sequence().oid());
}

function readAll<T>(value: Uint8Array, readOne: (list: DerReader) => T): T[] {
  const outer = new DerReader(value);
  const list = outer.enter(TAG.sequence);
  outer.expectEnd();
  if (list.done) throw new DerError('A list in an extension is empty.');
  const items: T[] = [];
  while (!list.done) items.push(readOne(list));
  return items;
}
