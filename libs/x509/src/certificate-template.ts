import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readCertificate } from './certificate.ts';
import { contextConstructed, integer, nullValue, sequence, utcOrGeneralizedTime } from './der.ts';
import { encodeExtension } from './extension.ts';
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
import { type Attribute, encodeName } from './name.ts';
import { OID } from './oid.ts';
import { type CertificateProfile, keyUsageFor } from './profile.ts';
import type { KeyType, PublicKeyInfo } from './public-key.ts';
import { serialNumberToInteger } from './serial-number.ts';
import { signatureAlgorithm } from './signature.ts';

/** The CA that signs, and where its status is found. */
export interface IssuerInfo {
  /** CA certificate, DER; must have a subjectKeyIdentifier. */
  readonly certificate: Buffer;
  /** Of the CA's key: decides the signature algorithm. */
  readonly keyType: KeyType;
  /** id-ad-ocsp. */
  readonly ocspUrl: string;
  /** id-ad-caIssuers. */
  readonly issuerUrl: string;
  /** Without a slash at the end; `/<shard>.crl` follows. */
  readonly crlBaseUrl: string;
}

/** What differs from certificate to certificate. */
export interface CertificateFields {
  /** Lower-case hex, of newSerialNumber. */
  readonly serialNumber: string;
  /** Unix ms; parts of a second are cut off. */
  readonly notBefore: number;
  /** Unix ms; parts of a second are cut off. */
  readonly notAfter: number;
  /** May be empty when there are names. CN holds at most 64 characters. */
  readonly subject: readonly Attribute[];
  /** In the order in which they shall stand; normalized. */
  readonly subjectAltName: readonly GeneralName[];
  readonly publicKey: PublicKeyInfo;
  /** 0 or more. */
  readonly crlShard: number;
}

/** A compiled profile and issuer. */
export interface Template {
  /**
   * TBSCertificate, DER. Throws BAD_PUBLIC_KEY when the profile does not take keys of this type, INVALID_ARGUMENT for fields
   * that cannot be encoded or when there is neither subject nor name. Lint the result before it is signed.
   */
  build(fields: CertificateFields): Buffer;
}

/** The parts that are the same in every certificate. */
interface ConstantParts {
  readonly version: Buffer;
  readonly signature: Buffer;
  readonly issuer: Buffer;
  /** extKeyUsage and basicConstraints. */
  readonly usage: Buffer;
  /** authorityKeyIdentifier and, as the profile says, authorityInfoAccess, ocsp-nocheck, certificatePolicies. */
  readonly authority: Buffer;
}

/**
 * Encodes once what the profile and the issuer fix; the rest is spliced in by build(). Throws INVALID_ARGUMENT when the
 * profile or the issuer's certificate cannot be used.
 */
export function compileTemplate(profile: CertificateProfile, issuer: IssuerInfo): Template {
  const parts = compileParts(profile, issuer);
  const keyUsage = new Map(
    profile.keyTypes.map((type) => [type, keyUsageExtension(profile, type)]),
  );
  const pointer = crlPointers(profile, issuer.crlBaseUrl);
  return {
    build(fields) {
      const usage = keyUsage.get(fields.publicKey.keyType);
      if (usage === undefined) refuseKey(profile, fields.publicKey.keyType);
      return sequence(
        parts.version,
        serialNumberToInteger(fields.serialNumber),
        parts.signature,
        parts.issuer,
        sequence(utcOrGeneralizedTime(fields.notBefore), utcOrGeneralizedTime(fields.notAfter)),
        encodeName(fields.subject),
        fields.publicKey.spki,
        contextConstructed(
          3,
          sequence(
            usage,
            parts.usage,
            encodeExtension(
              OID.subjectKeyIdentifier,
              false,
              encodeSubjectKeyIdentifier(fields.publicKey.keyIdentifier),
            ),
            parts.authority,
            subjectAltNameExtension(fields),
            pointer(fields.crlShard),
          ),
        ),
      );
    },
  };
}

function compileParts(profile: CertificateProfile, issuer: IssuerInfo): ConstantParts {
  const certificate = readCertificate(issuer.certificate);
  if (!certificate.isCa || certificate.keyIdentifier === undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'The issuer is not a CA with a subjectKeyIdentifier.',
    );
  }
  return {
    version: contextConstructed(0, integer(2)),
    signature: signatureAlgorithm(issuer.keyType),
    issuer: Buffer.from(certificate.subject),
    usage: Buffer.concat([
      encodeExtension(OID.extKeyUsage, false, encodeExtendedKeyUsage(profile.extendedKeyUsage)),
      encodeExtension(OID.basicConstraints, true, encodeBasicConstraints(false)),
    ]),
    authority: Buffer.concat([
      encodeExtension(
        OID.authorityKeyIdentifier,
        false,
        encodeAuthorityKeyIdentifier(certificate.keyIdentifier),
      ),
      ...optionalExtensions(profile, issuer),
    ]),
  };
}

function optionalExtensions(profile: CertificateProfile, issuer: IssuerInfo): Buffer[] {
  const { authorityInfoAccess: access, policyIdentifiers: policies } = profile;
  const locations = {
    ocsp: access.includes('ocsp') ? [issuer.ocspUrl] : [],
    caIssuers: access.includes('caIssuers') ? [issuer.issuerUrl] : [],
  };
  const extensions: Buffer[] = [];
  if (access.length > 0) {
    extensions.push(
      encodeExtension(OID.authorityInfoAccess, false, encodeAuthorityInfoAccess(locations)),
    );
  }
  if (profile.ocspNoCheck) extensions.push(encodeExtension(OID.ocspNoCheck, false, nullValue()));
  if (policies.length > 0) {
    extensions.push(
      encodeExtension(OID.certificatePolicies, false, encodeCertificatePolicies(policies)),
    );
  }
  return extensions;
}

function keyUsageExtension(profile: CertificateProfile, keyType: KeyType): Buffer {
  return encodeExtension(OID.keyUsage, true, encodeKeyUsage(keyUsageFor(profile, keyType)));
}

const EMPTY = Buffer.alloc(0);

/** RFC 5280 §4.2.1.6: critical exactly when the subject is empty. */
function subjectAltNameExtension({ subject, subjectAltName }: CertificateFields): Buffer {
  if (subjectAltName.length > 0) {
    return encodeExtension(
      OID.subjectAltName,
      subject.length === 0,
      encodeGeneralNames(subjectAltName),
    );
  }
  if (subject.length > 0) return EMPTY;
  throw new GigvaultError('INVALID_ARGUMENT', 'A certificate needs a subject or a name.');
}

/** The cRLDistributionPoints extension by shard; there are few shards, so each is encoded once. */
function crlPointers(profile: CertificateProfile, baseUrl: string): (shard: number) => Buffer {
  const known = new Map<number, Buffer>();
  return (shard) => {
    if (!profile.crlDistributionPoint) return EMPTY;
    const found = known.get(shard);
    if (found !== undefined) return found;
    if (!Number.isSafeInteger(shard) || shard < 0) {
      throw new GigvaultError('INVALID_ARGUMENT', 'A CRL shard is a whole number, 0 or more.');
    }
    const url = crlUrl(baseUrl, shard);
    const extension = encodeExtension(
      OID.crlDistributionPoints,
      false,
      encodeCrlDistributionPoint(url),
    );
    known.set(shard, extension);
    return extension;
  };
}

/** Where the CRL of a shard is found: `<crlBaseUrl>/<shard>.crl`. */
export function crlUrl(crlBaseUrl: string, crlShard: number): string {
  return `${crlBaseUrl}/${crlShard}.crl`;
}

function refuseKey(profile: CertificateProfile, keyType: KeyType): never {
  throw new GigvaultError(
    'BAD_PUBLIC_KEY',
    `Profile ${profile.name} does not take ${keyType} keys; it takes ${profile.keyTypes.join(', ')}.`,
  );
}
