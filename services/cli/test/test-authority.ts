import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import { fromPem, toPem } from '@gigvault/x509/pem';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { readPublicKey } from '@gigvault/x509/public-key';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';

const DAY = 86_400_000;

/** When the tests take place. */
export const NOW = Date.parse('2026-11-21T12:00:00Z');

const FROM = Date.parse('2020-01-01T00:00:00Z');
const UNTIL = Date.parse('2049-01-01T00:00:00Z');

const PROFILE: CertificateProfile = {
  name: 'tls-server',
  keyTypes: ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['serverAuth'],
  defaultValidity: 47 * DAY,
  maxValidity: 90 * DAY,
  backdate: 0,
  subject: 'commonName',
  nameTypes: ['dns', 'ip'],
  wildcard: true,
  policyIdentifiers: [],
  crlDistributionPoint: false,
  authorityInfoAccess: [],
  ocspNoCheck: false,
};

/** A root and an issuing CA that sign in the test. */
export interface TestAuthority {
  /** PEM. */
  readonly root: string;
  readonly issuing: string;
  /** A certificate for a request in PEM; valid for 47 days from NOW unless told. */
  issue(request: string, serialNumber: string, notBefore?: number, notAfter?: number): string;
  /** Key and chain of an HTTPS server at localhost. */
  server(): { readonly key: string; readonly cert: string };
}

/** New CAs; those of two calls do not trust each other. */
export function createTestAuthority(): TestAuthority {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
  const issuing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const rootDer = caCertificate(
    'GigVault Test Root CA',
    '01',
    root,
    'GigVault Test Root CA',
    root,
    'ec-p384',
  );
  const issuingDer = caCertificate(
    'GigVault Test Issuing CA',
    '02',
    issuing,
    'GigVault Test Root CA',
    root,
    'ec-p384',
  );
  const urls = { ocspUrl: 'http://x/ocsp', issuerUrl: 'http://x/ca', crlBaseUrl: 'http://x/crl' };
  const template = compileTemplate(PROFILE, {
    certificate: issuingDer,
    keyType: 'ec-p256',
    ...urls,
  });

  function leaf(
    key: KeyObject,
    names: readonly GeneralName[],
    serialNumber: string,
    from: number,
    until: number,
  ): string {
    const tbs = template.build({
      serialNumber,
      notBefore: from,
      notAfter: until,
      subject: [{ type: 'CN', value: names[0]?.value ?? '' }],
      subjectAltName: [...names],
      publicKey: spkiOf(key),
      crlShard: 0,
    });
    return toPem(
      'CERTIFICATE',
      assembleSigned(tbs, signatureAlgorithm('ec-p256'), signTbs(issuing, tbs)),
    );
  }

  return {
    root: toPem('CERTIFICATE', rootDer),
    issuing: toPem('CERTIFICATE', issuingDer),
    issue(request, serialNumber, notBefore = NOW, notAfter = NOW + 47 * DAY) {
      const { publicKey, subjectAltName } = parseCertificationRequest(
        fromPem(request)[0] as Buffer,
      );
      return leaf(publicKey.keyObject, subjectAltName, serialNumber, notBefore, notAfter);
    },
    server() {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const names: GeneralName[] = [{ type: 'dns', value: 'localhost' }];
      const cert = leaf(privateKey, names, '0a', FROM, UNTIL) + toPem('CERTIFICATE', issuingDer);
      return { key: privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, cert };
    },
  };
}

function caCertificate(
  name: string,
  serialNumber: string,
  key: KeyObject,
  issuer: string,
  issuerKey: KeyObject,
  signingKeyType: 'ec-p384',
): Buffer {
  const tbs = buildCaTbsCertificate({
    serialNumber,
    issuer: [{ type: 'CN', value: issuer }],
    subject: [{ type: 'CN', value: name }],
    publicKey: spkiOf(key),
    issuerKeyIdentifier: spkiOf(issuerKey).keyIdentifier,
    signingKeyType,
    notBefore: FROM,
    notAfter: UNTIL,
  });
  return assembleSigned(tbs, signatureAlgorithm(signingKeyType), signTbs(issuerKey, tbs));
}

function spkiOf(key: KeyObject) {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return readPublicKey(publicKey.export({ format: 'der', type: 'spki' }));
}
