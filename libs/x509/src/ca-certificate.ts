import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  asciiOctets,
  contextConstructed,
  contextPrimitive,
  integer,
  sequence,
  utcOrGeneralizedTime,
} from './der.ts';
import { encodeExtension } from './extension.ts';
import {
  encodeAuthorityInfoAccess,
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeCrlDistributionPoint,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from './extension-values.ts';
import type { GeneralName } from './general-name.ts';
import { ipAddressToOctets } from './ip-address.ts';
import { type Attribute, encodeName } from './name.ts';
import { OID } from './oid.ts';
import type { KeyType, PublicKeyInfo } from './public-key.ts';
import { serialNumberToInteger } from './serial-number.ts';
import { signatureAlgorithm } from './signature.ts';

/**
 * Subtrees of nameConstraints (RFC 5280 §4.2.1.10). `dns` and `email`: a domain (`''` for every name); `uri`: a host, or a
 * domain with a dot in front; `ip`: an address and prefix length, as `10.0.0.0/8`.
 */
export interface NameConstraints {
  readonly permitted?: readonly GeneralName[];
  readonly excluded?: readonly GeneralName[];
}

/** What a CA certificate says. */
export interface CaCertificateFields {
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** The signing CA's subject, as attributes or as its Name's DER (which is then copied byte for byte). */
  readonly issuer: readonly Attribute[] | Buffer;
  readonly subject: readonly Attribute[];
  readonly publicKey: PublicKeyInfo;
  /** Of the signing CA; a root's own. */
  readonly issuerKeyIdentifier: Buffer;
  /** Of the signing CA's key. */
  readonly signingKeyType: KeyType;
  /** Unix ms. */
  readonly notBefore: number;
  /** Unix ms. */
  readonly notAfter: number;
  /** How many CAs may follow below; undefined: any number. */
  readonly pathLenConstraint?: number;
  /** Shorthand: URI hosts that are permitted, added to nameConstraints.permitted. */
  readonly permittedUris?: readonly string[];
  readonly nameConstraints?: NameConstraints;
  /** Where the signing CA's certificate is found; a root has none. */
  readonly issuerUrl?: string;
  /** Where the signing CA's CRL is found; a root has none. */
  readonly crlUrl?: string;
}

/**
 * TBSCertificate of a root or subordinate CA: basicConstraints cA TRUE and keyUsage keyCertSign and cRLSign, both critical;
 * nameConstraints critical. Throws INVALID_ARGUMENT for fields that cannot be encoded.
 */
export function buildCaTbsCertificate(fields: CaCertificateFields): Buffer {
  if (fields.subject.length === 0) {
    throw new GigvaultError('INVALID_ARGUMENT', 'A CA needs a subject.');
  }
  const { issuer } = fields;
  return sequence(
    contextConstructed(0, integer(2)),
    serialNumberToInteger(fields.serialNumber),
    signatureAlgorithm(fields.signingKeyType),
    Buffer.isBuffer(issuer) ? issuer : encodeName(issuer as readonly Attribute[]),
    sequence(utcOrGeneralizedTime(fields.notBefore), utcOrGeneralizedTime(fields.notAfter)),
    encodeName(fields.subject),
    fields.publicKey.spki,
    contextConstructed(3, sequence(...caExtensions(fields))),
  );
}

function caExtensions(fields: CaCertificateFields): Buffer[] {
  const { publicKey, pathLenConstraint, issuerUrl, crlUrl } = fields;
  const constraints = encodeNameConstraints(fields);
  const extensions = [
    encodeExtension(OID.basicConstraints, true, encodeBasicConstraints(true, pathLenConstraint)),
    encodeExtension(OID.keyUsage, true, encodeKeyUsage(['keyCertSign', 'cRLSign'])),
    encodeExtension(
      OID.subjectKeyIdentifier,
      false,
      encodeSubjectKeyIdentifier(publicKey.keyIdentifier),
    ),
    encodeExtension(
      OID.authorityKeyIdentifier,
      false,
      encodeAuthorityKeyIdentifier(fields.issuerKeyIdentifier),
    ),
  ];
  if (constraints !== undefined)
    extensions.push(encodeExtension(OID.nameConstraints, true, constraints));
  if (issuerUrl !== undefined) {
    const access = encodeAuthorityInfoAccess({ ocsp: [], caIssuers: [issuerUrl] });
    extensions.push(encodeExtension(OID.authorityInfoAccess, false, access));
  }
  if (crlUrl !== undefined) {
    extensions.push(
      encodeExtension(OID.crlDistributionPoints, false, encodeCrlDistributionPoint(crlUrl)),
    );
  }
  return extensions;
}

function encodeNameConstraints({
  permittedUris,
  nameConstraints,
}: CaCertificateFields): Buffer | undefined {
  const uris = (permittedUris ?? []).map((value) => ({ type: 'uri', value }) as const);
  const permitted = [...(nameConstraints?.permitted ?? []), ...uris];
  const excluded = nameConstraints?.excluded ?? [];
  const lists: Buffer[] = [];
  if (permitted.length > 0) lists.push(contextConstructed(0, ...permitted.map(subtree)));
  if (excluded.length > 0) lists.push(contextConstructed(1, ...excluded.map(subtree)));
  return lists.length === 0 ? undefined : sequence(...lists);
}

/** GeneralSubtree with minimum 0, which is left out. */
function subtree({ type, value }: GeneralName): Buffer {
  switch (type) {
    case 'email':
      return sequence(contextPrimitive(1, asciiOctets(value)));
    case 'dns':
      return sequence(contextPrimitive(2, asciiOctets(value)));
    case 'uri':
      return sequence(contextPrimitive(6, asciiOctets(value)));
    case 'ip':
      return sequence(contextPrimitive(7, addressAndMask(value)));
  }
}

function addressAndMask(value: string): Buffer {
  const [, address, prefix] = /^([^/]+)\/(\d{1,3})$/.exec(value) ?? [];
  const octets = address === undefined ? undefined : ipAddressToOctets(address);
  const bits = Number(prefix);
  if (octets === undefined || bits > octets.length * 8) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'An IP constraint is an address and a prefix length, as 10.0.0.0/8.',
    );
  }
  const mask = Buffer.alloc(octets.length);
  for (let bit = 0; bit < bits; bit++) mask[bit >> 3]! |= 0x80 >> (bit & 7);
  const network = octets.map((octet, index) => octet & mask[index]!);
  return Buffer.concat([network, mask]);
}
