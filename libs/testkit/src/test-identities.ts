import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createMtlsIdentity, type MtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { type PeerName, spiffeId } from '@gigvault/rpc/service-name';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import { toPem } from '@gigvault/x509/pem';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { readPublicKey } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';

/** The trust domain of every test identity. */
export const TEST_TRUST_DOMAIN = 'gigvault.test';

const DAY = 86_400_000;
const SERVICE_PROFILE: CertificateProfile = {
  name: 'test-service',
  keyTypes: ['ec-p256'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['serverAuth', 'clientAuth'],
  defaultValidity: DAY,
  maxValidity: 90 * DAY,
  backdate: 0,
  subject: 'empty',
  nameTypes: ['uri'],
  wildcard: false,
  policyIdentifiers: [],
  crlDistributionPoint: false,
  authorityInfoAccess: [],
  ocspNoCheck: false,
};
const P256 = signatureAlgorithm('ec-p256');

/** Signs peers' identities with a `services` CA of its own. */
export interface TestIdentities {
  /** An identity with this name. @param notAfter Unix milliseconds; default a day from now. */
  identity(peer: PeerName, notAfter?: number): MtlsIdentity;
}

/** A new `services` CA. Identities of two calls do not trust each other. */
export function createTestIdentities(): TestIdentities {
  // A root above it, thrown away: like the real one, the services CA is not self-signed.
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ca = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKey = spkiOf(ca.publicKey);
  const now = Date.now();
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: [{ type: 'CN', value: 'Test Root CA' }],
    subject: [{ type: 'CN', value: 'Test Services CA' }],
    publicKey,
    issuerKeyIdentifier: spkiOf(root.publicKey).keyIdentifier,
    signingKeyType: 'ec-p256',
    notBefore: now - 2 * DAY,
    notAfter: now + 365 * DAY,
  });
  const certificate = assembleSigned(tbs, P256, signTbs(root.privateKey, tbs));
  const template = compileTemplate(SERVICE_PROFILE, {
    certificate,
    keyType: 'ec-p256',
    ocspUrl: 'http://127.0.0.1/ocsp',
    issuerUrl: 'http://127.0.0.1/ca.crt',
    crlBaseUrl: 'http://127.0.0.1/crl',
  });
  return {
    identity(peer, notAfter = now + DAY) {
      const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const leaf = template.build({
        serialNumber: newSerialNumber(),
        notBefore: now - DAY,
        notAfter,
        subject: [],
        subjectAltName: [{ type: 'uri', value: spiffeId(TEST_TRUST_DOMAIN, peer) }],
        publicKey: spkiOf(key.publicKey),
        crlShard: 0,
      });
      return createMtlsIdentity(peer, TEST_TRUST_DOMAIN, {
        servicesCa: toPem('CERTIFICATE', certificate),
        certificate: toPem('CERTIFICATE', assembleSigned(leaf, P256, signTbs(ca.privateKey, leaf))),
        privateKey: key.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      });
    },
  };
}

function spkiOf(key: KeyObject) {
  return readPublicKey(key.export({ type: 'spki', format: 'der' }));
}
