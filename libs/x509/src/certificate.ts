import { bitString, bufferOf, DerError, DerReader, header, sequence } from './der.ts';
import { TAG } from './der-tag.ts';
import { type Extension, extensionMap, readExtensionList } from './extension.ts';
import {
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readSubjectKeyIdentifier,
} from './extension-values.ts';
import { type GeneralName, readGeneralNames } from './general-name.ts';
import { OID } from './oid.ts';
import { type PublicKeyInfo, readPublicKey } from './public-key.ts';
import { serialNumberFromOctets } from './serial-number.ts';
import { verifySignature } from './signature.ts';

/** TBSCertificate's fields as they stand in the bytes, unchecked beyond DER; for lints. */
export interface TbsCertificateLayout {
  /** 1, 2 or 3. */
  readonly version: number;
  /** INTEGER's content octets; may be negative. */
  readonly serialNumber: Buffer;
  /** AlgorithmIdentifier. */
  readonly signature: Buffer;
  /** Name. */
  readonly issuer: Buffer;
  /** Validity. */
  readonly validity: Buffer;
  /** Name. */
  readonly subject: Buffer;
  /** SubjectPublicKeyInfo. */
  readonly subjectPublicKeyInfo: Buffer;
  /** In order, repeats included. */
  readonly extensions: readonly Extension[];
}

/** What a TBSCertificate says. Buffers are DER and views of the input. */
export interface ParsedTbsCertificate {
  readonly tbs: Buffer;
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** Name. */
  readonly issuer: Buffer;
  /** Name. */
  readonly subject: Buffer;
  /** Unix ms. */
  readonly notBefore: number;
  /** Unix ms. */
  readonly notAfter: number;
  /** SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  /** Checked when first read: throws BAD_PUBLIC_KEY for a key that readPublicKey refuses. */
  readonly publicKey: PublicKeyInfo;
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>;
  /** cA of basicConstraints; false when there is none. */
  readonly isCa: boolean;
  readonly pathLenConstraint?: number;
  /** AlgorithmIdentifier. */
  readonly signatureAlgorithm: Buffer;
  /** Names of other kinds are left out. */
  readonly subjectAltName: readonly GeneralName[];
  /** subjectKeyIdentifier. */
  readonly keyIdentifier?: Buffer;
  readonly authorityKeyIdentifier?: Buffer;
}

/** A Certificate: what its TBSCertificate says, and the signature over it (not verified by reading). */
export interface ParsedCertificate extends ParsedTbsCertificate {
  readonly der: Buffer;
  readonly signature: Buffer;
}

const MAX_CERTIFICATE_OCTETS = 100_000;

/** Certificate or CertificateList: to-be-signed bytes, AlgorithmIdentifier, signature. */
export function assembleSigned(
  tbs: Uint8Array,
  algorithmDer: Uint8Array,
  signature: Uint8Array,
): Buffer {
  return sequence(tbs, algorithmDer, bitString(signature));
}

/** What assembleSigned puts before and behind a `tbs` of this length. */
export function frameSigned(
  length: number,
  algorithmDer: Uint8Array,
  signature: Uint8Array,
): { readonly head: Buffer; readonly tail: Buffer } {
  const tail = Buffer.concat([algorithmDer, bitString(signature)]);
  return { head: header(TAG.sequence, length + tail.length), tail };
}

/** Takes apart what assembleSigned makes. Throws DerError. */
export function readSigned(der: Uint8Array): {
  readonly tbs: Buffer;
  readonly signatureAlgorithm: Buffer;
  readonly signature: Buffer;
} {
  const outer = new DerReader(der);
  const fields = outer.sequence();
  outer.expectEnd();
  const tbs = fields.element(TAG.sequence);
  const signatureAlgorithm = fields.element(TAG.sequence);
  const signature = fields.bitOctets();
  fields.expectEnd();
  return { tbs, signatureAlgorithm, signature };
}

/**
 * Reads a version 3 certificate of at most 100,000 octets. Throws DerError for what is not DER or breaks the structure of
 * RFC 5280 §4.1, for repeated extensions and when the two algorithm fields differ (§4.1.1.2).
 */
export function readCertificate(der: Uint8Array): ParsedCertificate {
  if (der.length > MAX_CERTIFICATE_OCTETS) throw new DerError('A certificate is too large.');
  const { tbs, signatureAlgorithm, signature } = readSigned(der);
  const parsed = readTbsCertificate(tbs);
  if (!parsed.signatureAlgorithm.equals(signatureAlgorithm)) {
    throw new DerError('The two signature algorithms of a certificate differ.');
  }
  return Object.defineProperties({} as ParsedCertificate, {
    ...Object.getOwnPropertyDescriptors(parsed),
    der: { value: bufferOf(der), enumerable: true },
    signature: { value: signature, enumerable: true },
  });
}

/** Reads a TBSCertificate (version 3). Throws DerError as readCertificate. */
export function readTbsCertificate(tbs: Uint8Array): ParsedTbsCertificate {
  const layout = readTbsCertificateLayout(tbs);
  if (layout.version !== 3) throw new DerError('A certificate is not of version 3.');
  const { notBefore, notAfter } = readValidity(layout.validity);
  const extensions = extensionMap(layout.extensions);
  let publicKey: PublicKeyInfo | undefined;
  return {
    tbs: bufferOf(tbs),
    serialNumber: serialNumberFromOctets(layout.serialNumber),
    issuer: layout.issuer,
    subject: layout.subject,
    notBefore,
    notAfter,
    spki: layout.subjectPublicKeyInfo,
    get publicKey() {
      publicKey ??= readPublicKey(layout.subjectPublicKeyInfo);
      return publicKey;
    },
    extensions,
    ...readKnownExtensions(extensions),
    signatureAlgorithm: layout.signature,
  };
}

function readKnownExtensions(extensions: ReadonlyMap<string, Extension>) {
  const value = (oid: string) => extensions.get(oid)?.value;
  const basic = value(OID.basicConstraints);
  const names = value(OID.subjectAltName);
  const subjectKey = value(OID.subjectKeyIdentifier);
  const authorityKey = value(OID.authorityKeyIdentifier);
  return {
    ...(basic === undefined ? { isCa: false } : readBasicConstraints(basic)),
    subjectAltName: names === undefined ? [] : readGeneralNames(names, 'skip'),
    ...(subjectKey && { keyIdentifier: readSubjectKeyIdentifier(subjectKey) }),
    ...(authorityKey && { authorityKeyIdentifier: readAuthorityKeyIdentifier(authorityKey) }),
  };
}

/** The fields of a TBSCertificate of any version. Throws DerError; unique identifiers are refused (RFC 5280 §4.1.2.8). */
export function readTbsCertificateLayout(tbs: Uint8Array): TbsCertificateLayout {
  const outer = new DerReader(tbs);
  const fields = outer.sequence();
  outer.expectEnd();
  const version = readVersion(fields.optionalContext(0));
  const serialNumber = fields.integerOctets();
  const signature = fields.element(TAG.sequence);
  const issuer = fields.element(TAG.sequence);
  const validity = fields.element(TAG.sequence);
  const subject = fields.element(TAG.sequence);
  const subjectPublicKeyInfo = fields.element(TAG.sequence);
  const wrapper = fields.optionalContext(3);
  fields.expectEnd();
  const extensions = wrapper === undefined ? [] : readExtensionList(wrapper);
  wrapper?.expectEnd();
  return {
    version,
    serialNumber,
    signature,
    issuer,
    validity,
    subject,
    subjectPublicKeyInfo,
    extensions,
  };
}

function readVersion(wrapper: DerReader | undefined): number {
  if (wrapper === undefined) return 1;
  const version = wrapper.smallInteger() + 1;
  wrapper.expectEnd();
  if (version === 1) throw new DerError('A default value is encoded.');
  return version;
}

/** Validity, Unix ms. Throws DerError. */
export function readValidity(der: Uint8Array): {
  readonly notBefore: number;
  readonly notAfter: number;
} {
  const outer = new DerReader(der);
  const fields = outer.sequence();
  outer.expectEnd();
  const notBefore = fields.time();
  const notAfter = fields.time();
  fields.expectEnd();
  return { notBefore, notAfter };
}

/** True when `certificate` names `issuer` as its issuer (byte for byte) and its signature verifies with the issuer's key. Times and constraints are not looked at. Throws BAD_PUBLIC_KEY for a weak issuer key. */
export function isSignedBy(certificate: ParsedCertificate, issuer: ParsedCertificate): boolean {
  if (!certificate.issuer.equals(issuer.subject)) return false;
  const { signatureAlgorithm, tbs, signature } = certificate;
  return verifySignature(issuer.publicKey.keyObject, signatureAlgorithm, tbs, signature);
}
