import { readSigned } from './certificate.ts';
import {
  boolean,
  bufferOf,
  contextConstructed,
  contextPrimitive,
  DerError,
  DerReader,
  enumerated,
  header,
  integer,
  sequence,
  utcOrGeneralizedTime,
} from './der.ts';
import { TAG } from './der-tag.ts';
import { type Extension, encodeExtension, extensionMap, readExtensionList } from './extension.ts';
import {
  encodeAuthorityKeyIdentifier,
  readAuthorityKeyIdentifier,
  readFullName,
} from './extension-values.ts';
import { encodeGeneralName } from './general-name.ts';
import { OID } from './oid.ts';
import type { KeyType } from './public-key.ts';
import { REASON_CODE } from './reason-code.ts';
import { serialNumberFromOctets, serialNumberToInteger } from './serial-number.ts';
import { signatureAlgorithm } from './signature.ts';

/** One revoked certificate. */
export interface CrlEntry {
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** Unix ms. */
  readonly revokedAt: number;
  /** CRLReason of RFC 5280 §5.3.1; 0 stands for no reason given. */
  readonly reasonCode: number;
}

/** Which certificates a CRL speaks of (onlyContainsUserCerts, onlyContainsCACerts of RFC 5280 §5.2.5). */
export type CrlScope = 'userCerts' | 'caCerts' | 'all';

/** What a CRL says. */
export interface CertListFields {
  /** Name, DER, byte for byte the issuer certificate's subject. */
  readonly issuerName: Buffer;
  readonly issuerKeyIdentifier: Buffer;
  readonly signingKeyType: KeyType;
  /** Only ever rises for an issuer and shard; below 2^159 (RFC 5280 §5.2.3). */
  readonly crlNumber: bigint;
  /** Unix ms. */
  readonly thisUpdate: number;
  /** Unix ms. */
  readonly nextUpdate: number;
  /** Concatenated results of encodeCrlEntry; empty when nothing is revoked. */
  readonly entries: Buffer;
  /** The URL that stands in the certificates' cRLDistributionPoints; left out when one CRL is for all of the issuer's. */
  readonly distributionPointUrl?: string;
  /** `userCerts` when left out; a root's CRL is `caCerts`. */
  readonly scope?: CrlScope;
}

/** A TBSCertList as read. Buffers are views of the input. */
export interface ParsedTbsCertList {
  readonly tbs: Buffer;
  /** Name, DER. */
  readonly issuer: Buffer;
  readonly issuerKeyIdentifier?: Buffer;
  readonly crlNumber: bigint;
  /** Unix ms. */
  readonly thisUpdate: number;
  /** Unix ms. */
  readonly nextUpdate: number;
  readonly distributionPointUrl?: string;
  readonly scope: CrlScope;
  /** Reads as it goes: millions of entries take no memory. Throws DerError at the first entry that is malformed. */
  entries(): Iterable<CrlEntry>;
  /** AlgorithmIdentifier. */
  readonly signatureAlgorithm: Buffer;
}

/** A CertificateList: its TBSCertList and the signature over it (not verified by reading). */
export interface ParsedCertList extends ParsedTbsCertList {
  readonly der: Buffer;
  readonly signature: Buffer;
}

const NO_ENTRIES = Buffer.alloc(0);

/** crlEntryExtensions with the reason alone, encoded once: lists have millions of entries. Nothing for `unspecified`. */
const REASON_EXTENSIONS: ReadonlyMap<number, Buffer> = new Map(
  Object.values(REASON_CODE).map((code) => [
    code,
    code === 0
      ? Buffer.alloc(0)
      : sequence(encodeExtension(OID.reasonCode, false, enumerated(code))),
  ]),
);
/** The same by their octets. */
const REASON_OF_EXTENSIONS: ReadonlyMap<string, number> = new Map(
  [...REASON_EXTENSIONS].map(([code, der]) => [der.toString('latin1'), code]),
);

/** One member of revokedCertificates; reasonCode 0 is left out (RFC 5280 §5.3.1). Throws DerError for a code that does not exist. */
export function encodeCrlEntry({ serialNumber, revokedAt, reasonCode }: CrlEntry): Buffer {
  const serial = serialNumberToInteger(serialNumber);
  const time = utcOrGeneralizedTime(revokedAt);
  const extensions = REASON_EXTENSIONS.get(reasonCode);
  if (extensions === undefined) throw new DerError('That is not a reason code.');
  return sequence(serial, time, extensions);
}

/**
 * TBSCertList, version 2, with authorityKeyIdentifier, cRLNumber and a critical issuingDistributionPoint; revokedCertificates
 * is left out when there are no entries (RFC 5280 §5.1.2.6). Throws DerError for fields that cannot be encoded.
 */
export function buildTbsCertList({ entries, ...fields }: CertListFields): Buffer {
  const { head, tail } = frameTbsCertList(fields, entries.length);
  return Buffer.concat([head, entries, tail]);
}

/** What stands before and behind the entries of a TBSCertList: for lists that are never in memory as a whole. @param octets of all entries */
export function frameTbsCertList(
  fields: Omit<CertListFields, 'entries'>,
  octets: number,
): { readonly head: Buffer; readonly tail: Buffer } {
  if (fields.nextUpdate <= fields.thisUpdate)
    throw new DerError('nextUpdate is not after thisUpdate.');
  if (fields.crlNumber < 0n || fields.crlNumber >= 1n << 159n)
    throw new DerError('A cRLNumber is out of range.');
  const start = Buffer.concat([
    integer(1),
    signatureAlgorithm(fields.signingKeyType),
    fields.issuerName,
    utcOrGeneralizedTime(fields.thisUpdate),
    utcOrGeneralizedTime(fields.nextUpdate),
    octets === 0 ? NO_ENTRIES : header(TAG.sequence, octets),
  ]);
  const tail = contextConstructed(
    0,
    sequence(
      encodeExtension(
        OID.authorityKeyIdentifier,
        false,
        encodeAuthorityKeyIdentifier(fields.issuerKeyIdentifier),
      ),
      encodeExtension(OID.crlNumber, false, integer(fields.crlNumber)),
      encodeExtension(OID.issuingDistributionPoint, true, encodeIssuingDistributionPoint(fields)),
    ),
  );
  const head = Buffer.concat([header(TAG.sequence, start.length + octets + tail.length), start]);
  return { head, tail };
}

/** RFC 5280 §5.2.5: fullName with the URL; [1] onlyContainsUserCerts or [2] onlyContainsCACerts. */
function encodeIssuingDistributionPoint({
  distributionPointUrl,
  scope,
}: Omit<CertListFields, 'entries'>): Buffer {
  if (distributionPointUrl === undefined && scope === 'all')
    throw new DerError('An issuingDistributionPoint says something.');
  return sequence(
    ...(distributionPointUrl === undefined ? [] : [fullName(distributionPointUrl)]),
    // IMPLICIT BOOLEAN TRUE.
    ...(scope === 'all'
      ? []
      : [contextPrimitive(scope === 'caCerts' ? 2 : 1, boolean(true).subarray(2))]),
  );
}

function fullName(url: string): Buffer {
  const name = encodeGeneralName({ type: 'uri', value: url });
  return contextConstructed(0, contextConstructed(0, name));
}

/** Reads a CertificateList of any size. Throws DerError. */
export function readCertList(der: Uint8Array): ParsedCertList {
  const { tbs, signatureAlgorithm: algorithm, signature } = readSigned(der);
  const parsed = readTbsCertList(tbs);
  if (!parsed.signatureAlgorithm.equals(algorithm)) {
    throw new DerError('The two signature algorithms of a CRL differ.');
  }
  return { ...parsed, der: bufferOf(der), signature };
}

/**
 * Reads a version 2 TBSCertList with nextUpdate and cRLNumber, as RFC 5280 §5 asks of CAs. Throws DerError for anything else,
 * for unknown critical extensions and for delta or indirect CRLs.
 */
export function readTbsCertList(tbs: Uint8Array): ParsedTbsCertList {
  const outer = new DerReader(tbs);
  const fields = outer.sequence();
  outer.expectEnd();
  if (fields.smallInteger() !== 1) throw new DerError('A CRL is not of version 2.');
  const algorithm = fields.element(TAG.sequence);
  const issuer = fields.element(TAG.sequence);
  const thisUpdate = fields.time();
  const nextUpdate = fields.time();
  const list = fields.is(TAG.sequence) ? fields.element() : undefined;
  const wrapper = fields.enter(0xa0);
  fields.expectEnd();
  const extensions = extensionMap(readExtensionList(wrapper));
  wrapper.expectEnd();
  if (list !== undefined && list.length === 2) throw new DerError('revokedCertificates is empty.');
  return {
    tbs: bufferOf(tbs),
    issuer,
    thisUpdate,
    nextUpdate,
    ...readCrlExtensions(extensions),
    entries: () => (list === undefined ? [] : readEntries(list)),
    signatureAlgorithm: algorithm,
  };
}

function readCrlExtensions(extensions: ReadonlyMap<string, Extension>) {
  for (const { oid, critical } of extensions.values()) {
    if (critical && oid !== OID.issuingDistributionPoint) {
      throw new DerError('A CRL has an unknown critical extension.');
    }
  }
  const number = extensions.get(OID.crlNumber);
  if (number === undefined) throw new DerError('A CRL has no cRLNumber.');
  const reader = new DerReader(number.value);
  const crlNumber = reader.integer();
  reader.expectEnd();
  if (crlNumber < 0n) throw new DerError('A cRLNumber is negative.');
  const authorityKey = extensions.get(OID.authorityKeyIdentifier);
  return {
    crlNumber,
    ...(authorityKey && { issuerKeyIdentifier: readAuthorityKeyIdentifier(authorityKey.value) }),
    ...readIssuingDistributionPoint(extensions.get(OID.issuingDistributionPoint)),
  };
}

function readIssuingDistributionPoint(extension: Extension | undefined): {
  readonly distributionPointUrl?: string;
  readonly scope: CrlScope;
} {
  if (extension === undefined) return { scope: 'all' };
  const outer = new DerReader(extension.value);
  const fields = outer.sequence();
  outer.expectEnd();
  const [distributionPointUrl] = readFullName(fields.optionalContext(0));
  const userCerts = readFlag(fields, 1);
  const caCerts = readFlag(fields, 2);
  // What may follow (some reasons only, indirect, attribute certificates) would change what an entry means.
  fields.expectEnd();
  if (userCerts && caCerts) throw new DerError('A CRL has two scopes.');
  const scope = userCerts ? 'userCerts' : caCerts ? 'caCerts' : 'all';
  return { ...(distributionPointUrl !== undefined && { distributionPointUrl }), scope };
}

function readFlag(fields: DerReader, n: number): boolean {
  if (!fields.is(0x80 | n)) return false;
  const octets = fields.content();
  if (octets.length !== 1 || octets[0] !== 0xff)
    throw new DerError('A flag of a CRL is malformed.');
  return true;
}

function* readEntries(list: Buffer): Generator<CrlEntry> {
  const entries = new DerReader(list).sequence();
  while (!entries.done) yield readCrlEntry(entries);
}

/** The next member of revokedCertificates. Throws DerError. */
export function readCrlEntry(entries: DerReader): CrlEntry {
  const fields = entries.sequence();
  const serialNumber = serialNumberFromOctets(fields.integerOctets());
  const revokedAt = fields.time();
  const reasonCode = fields.done ? 0 : readReason(fields.element(TAG.sequence));
  fields.expectEnd();
  return { serialNumber, revokedAt, reasonCode };
}

function readReason(der: Buffer): number {
  const known = REASON_OF_EXTENSIONS.get(der.toString('latin1'));
  if (known !== undefined) return known;
  const extensions = extensionMap(readExtensionList(new DerReader(der)));
  let reasonCode = 0;
  for (const { oid, critical, value } of extensions.values()) {
    if (oid === OID.reasonCode) {
      const reader = new DerReader(value);
      reasonCode = reader.smallInteger(TAG.enumerated);
      reader.expectEnd();
    } else if (critical) throw new DerError('A CRL entry has an unknown critical extension.');
  }
  return reasonCode;
}
