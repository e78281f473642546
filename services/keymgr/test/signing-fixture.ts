import { generateKeyPairSync } from 'node:crypto';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { buildTbsCertList } from '@gigvault/x509/crl';
import { DerReader, integer, nullValue, octetString, oid, sequence } from '@gigvault/x509/der';
import { encodeName } from '@gigvault/x509/name';
import { buildResponseData } from '@gigvault/x509/ocsp';
import { OID } from '@gigvault/x509/oid';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { type KeyType, type PublicKeyInfo, publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber, serialNumberToInteger } from '@gigvault/x509/serial-number';
import { signatureAlgorithm } from '@gigvault/x509/signature';

/** 2026-01-01. */
export const NOW = Date.UTC(2026, 0, 1);
export const DAY = 86_400_000;

/** The issuer that keys under test are bound to. */
export const ISSUER = [{ type: 'CN', value: 'Test Issuing CA' }];

const PROFILE: CertificateProfile = {
  name: 'test',
  keyTypes: ['ec-p256'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['serverAuth'],
  defaultValidity: 10 * DAY,
  maxValidity: 10 * DAY,
  backdate: 0,
  subject: 'commonName',
  nameTypes: ['dns'],
  wildcard: false,
  policyIdentifiers: [],
  crlDistributionPoint: true,
  authorityInfoAccess: ['ocsp', 'caIssuers'],
  ocspNoCheck: false,
};

const subjectKey = publicKeyInfoOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

/** Names and algorithm that differ from the key's in the tests of refusals. */
export interface IssuerOptions {
  readonly issuer?: typeof ISSUER;
  readonly signingKeyType?: KeyType;
}

/** TBSCertificate of a CA. */
export function caTbs({ issuer = ISSUER, signingKeyType = 'ec-p256' }: IssuerOptions = {}): Buffer {
  return buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer,
    subject: issuer,
    publicKey: subjectKey,
    issuerKeyIdentifier: subjectKey.keyIdentifier,
    signingKeyType,
    notBefore: NOW,
    notAfter: NOW + 10 * DAY,
  });
}

/** TBSCertificate of a TLS server. */
export function leafTbs(options: IssuerOptions & Partial<CertificateProfile> = {}): Buffer {
  const { issuer, signingKeyType = 'ec-p256', ...profile } = options;
  const certificate = assembleSigned(
    caTbs({ ...(issuer && { issuer }), signingKeyType }),
    signatureAlgorithm(signingKeyType),
    Buffer.alloc(8),
  );
  return compileTemplate(
    { ...PROFILE, ...profile },
    {
      certificate,
      keyType: signingKeyType,
      ocspUrl: 'http://localhost:8080/ocsp',
      issuerUrl: 'http://localhost:8080/ca/issuing.crt',
      crlBaseUrl: 'http://localhost:8080/crl/issuing',
    },
  ).build({
    serialNumber: newSerialNumber(),
    notBefore: NOW,
    notAfter: NOW + 10 * DAY,
    subject: [{ type: 'CN', value: 'a.example' }],
    subjectAltName: [{ type: 'dns', value: 'a.example' }],
    publicKey: subjectKey,
    crlShard: 0,
  });
}

/** CertificationRequestInfo (RFC 2986 §4.1). */
export function requestTbs(): Buffer {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const request = buildCertificationRequest({ privateKey, subject: ISSUER, subjectAltName: [] });
  return new DerReader(request).sequence().element();
}

/** TSTInfo (RFC 3161 §2.4.2). */
export function timestampTbs(): Buffer {
  const imprint = sequence(
    sequence(oid(OID.sha256), nullValue()),
    octetString(Buffer.alloc(32, 1)),
  );
  return sequence(integer(Buffer.of(1)), oid('1.2.3.4.1'), imprint, integer(Buffer.of(7)));
}

/** TBSCertList without entries. */
export function crlTbs({
  issuer = ISSUER,
  signingKeyType = 'ec-p256',
}: IssuerOptions = {}): Buffer {
  return buildTbsCertList({
    issuerName: encodeName(issuer),
    issuerKeyIdentifier: subjectKey.keyIdentifier,
    signingKeyType,
    crlNumber: 1n,
    thisUpdate: NOW,
    nextUpdate: NOW + DAY,
    entries: Buffer.alloc(0),
    distributionPointUrl: 'http://localhost:8080/crl/issuing/0.crl',
  });
}

/** ResponseData of this responder, or of a stranger. */
export function ocspTbs(responder: PublicKeyInfo = subjectKey): Buffer {
  const certId = sequence(
    sequence(oid(OID.sha1), nullValue()),
    octetString(Buffer.alloc(20, 1)),
    octetString(Buffer.alloc(20, 2)),
    serialNumberToInteger(newSerialNumber()),
  );
  return buildResponseData({
    responderKeyHash: responder.keyIdentifier,
    producedAt: NOW,
    responses: [{ certId, status: 'good', thisUpdate: NOW, nextUpdate: NOW + DAY }],
  });
}

/** The text of a checkpoint note. */
export function checkpointTbs(): Buffer {
  return Buffer.from(`gigvault.local/audit\n42\n${Buffer.alloc(32, 7).toString('base64')}\n`);
}

/** A JWS signing input. */
export function jwsTbs(header: object = { alg: 'ES256', typ: 'at+jwt', kid: 'k' }): Buffer {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return Buffer.from(`${part(header)}.${part({ sub: 'user:1' })}`);
}
