import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Certificate } from '@gigvault/proto/ca/v1/certificate';
import { produced } from '@gigvault/testkit/produced';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned, readCertificate } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { formatGeneralName } from '@gigvault/x509/general-name';
import { type CertificateProfile, profileHash } from '@gigvault/x509/profile';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import type { Certificates, Profiles } from '../src/ports/certificate-authority.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** As the CA's own `tls-server`. */
const PROFILE: CertificateProfile = {
  name: 'tls-server',
  keyTypes: ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'],
  keyUsage: ['digitalSignature', 'keyEncipherment'],
  extendedKeyUsage: ['serverAuth'],
  defaultValidity: 47 * DAY,
  maxValidity: 90 * DAY,
  backdate: HOUR,
  subject: 'commonName',
  nameTypes: ['dns', 'ip'],
  wildcard: false,
  policyIdentifiers: [],
  crlDistributionPoint: true,
  authorityInfoAccess: ['ocsp', 'caIssuers'],
  ocspNoCheck: false,
};

/** A CA in memory whose certificates are real. */
export interface MemoryCertificateAuthority extends Certificates, Profiles {
  readonly root: Buffer;
  readonly issuer: Buffer;
  readonly certificates: ReadonlyMap<string, Certificate>;
  issue(request: {
    requestId: string;
    requester: string;
    certificationRequest: Buffer;
    now: number;
  }): Certificate;
}

/** A root and an issuing CA, made now. */
export function memoryCertificateAuthority(now: number): MemoryCertificateAuthority {
  const rootKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const issuerKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const root = caCertificate({
    name: 'Root',
    key: rootKey,
    issuerName: 'Root',
    issuerKey: rootKey,
    now,
  });
  const issuer = caCertificate({
    name: 'Issuing',
    key: issuerKey,
    issuerName: 'Root',
    issuerKey: rootKey,
    now,
  });
  const status = 'http://localhost:8080';
  const template = compileTemplate(PROFILE, {
    certificate: issuer,
    keyType: 'ec-p256',
    ocspUrl: `${status}/ocsp`,
    issuerUrl: `${status}/ca/issuing.crt`,
    crlBaseUrl: `${status}/crl/issuing`,
  });
  const certificates = new Map<string, Certificate>();

  function find(serialNumber: string): Certificate {
    const found = certificates.get(serialNumber);
    if (!found) throw new GigvaultError('CERTIFICATE_NOT_FOUND', 'There is no such certificate.');
    return found;
  }

  return {
    root,
    issuer,
    certificates,
    issue(request) {
      const asked = parseCertificationRequest(request.certificationRequest);
      const serialNumber = newSerialNumber();
      const tbs = template.build({
        serialNumber,
        notBefore: request.now - HOUR,
        notAfter: request.now + 47 * DAY,
        subject: [],
        subjectAltName: asked.subjectAltName,
        publicKey: asked.publicKey,
        crlShard: 0,
      });
      const certificate: Certificate = {
        serialNumber,
        issuerId: 'issuing',
        certificate: produced('certificate', signed(tbs, issuerKey)),
        commonName: '',
        names: asked.subjectAltName.map(formatGeneralName),
        profile: PROFILE.name,
        status: 'valid',
        notBefore: request.now - HOUR,
        notAfter: request.now + 47 * DAY,
        revokedAt: 0,
        reasonCode: 0,
        requestId: request.requestId,
        requester: request.requester,
        issuedAt: request.now,
        crlShard: 0,
      };
      certificates.set(serialNumber, certificate);
      return certificate;
    },
    get: async (serialNumber) => find(serialNumber),
    async revoke({ serialNumber, reasonCode }) {
      const known = find(serialNumber);
      if (known.status === 'revoked')
        throw new GigvaultError('ALREADY_REVOKED', 'It is revoked already.');
      certificates.set(serialNumber, { ...known, status: 'revoked', reasonCode, revokedAt: 1 });
    },
    find: async (profile) =>
      profile === PROFILE.name ? { ...PROFILE, profileHash: profileHash(PROFILE) } : undefined,
  };
}

function caCertificate(ca: {
  name: string;
  key: KeyObject;
  issuerName: string;
  issuerKey: KeyObject;
  now: number;
}): Buffer {
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: [{ type: 'CN', value: ca.issuerName }],
    subject: [{ type: 'CN', value: ca.name }],
    publicKey: publicKeyInfoOf(ca.key),
    issuerKeyIdentifier: publicKeyInfoOf(ca.issuerKey).keyIdentifier,
    signingKeyType: 'ec-p256',
    notBefore: ca.now - HOUR,
    notAfter: ca.now + 3650 * DAY,
  });
  return readCertificate(produced('authority', signed(tbs, ca.issuerKey))).der;
}

function signed(tbs: Buffer, key: KeyObject): Buffer {
  return assembleSigned(tbs, signatureAlgorithm('ec-p256'), signTbs(key, tbs));
}
