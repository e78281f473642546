import { generateKeyPairSync } from 'node:crypto';
import { assembleSigned } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import type { GeneralName } from '@gigvault/x509/general-name';
import { toPem } from '@gigvault/x509/pem';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { readPublicKey } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import { selfSignedCa } from './self-signed-ca.ts';

const DAY = 86_400_000;

/** What a client certificate of a test says. */
export interface ClientFields {
  /** Default: none. */
  readonly commonName?: string;
  /** Default: none. */
  readonly names?: readonly GeneralName[];
  readonly extendedKeyUsage?: CertificateProfile['extendedKeyUsage'];
  /** Unix milliseconds; default a day from now. */
  readonly notAfter?: number;
  /** Lower-case hex; default a new one. */
  readonly serialNumber?: string;
}

/** What a client shows. PEM. */
export interface ClientPair {
  readonly cert: string;
  readonly key: string;
}

/** A CA of people, of no PKI of ours. */
export interface ClientAuthority {
  /** PEM. */
  readonly certificate: string;
  issue(fields: ClientFields): ClientPair;
}

/** Makes one, with whatever certificates a test needs of it. */
export function clientAuthority(commonName = 'People CA'): ClientAuthority {
  const now = Date.now();
  const ca = selfSignedCa(commonName, now - 30 * DAY);
  return {
    certificate: toPem('CERTIFICATE', ca.certificate),
    issue(fields) {
      const { names = [], notAfter = now + DAY, serialNumber = newSerialNumber() } = fields;
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const tbs = templateFor(fields, ca.certificate).build({
        serialNumber,
        notBefore: notAfter - 20 * DAY,
        notAfter,
        subject: fields.commonName === undefined ? [] : [{ type: 'CN', value: fields.commonName }],
        subjectAltName: names,
        publicKey: readPublicKey(publicKey.export({ type: 'spki', format: 'der' })),
        crlShard: 0,
      });
      const signature = signTbs(ca.privateKey, tbs);
      const der = assembleSigned(tbs, signatureAlgorithm('ec-p256'), signature);
      return {
        cert: toPem('CERTIFICATE', der),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      };
    },
  };
}

function templateFor({ extendedKeyUsage = ['clientAuth'] }: ClientFields, certificate: Buffer) {
  const profile: CertificateProfile = {
    name: 'test-client',
    keyTypes: ['ec-p256'],
    keyUsage: ['digitalSignature'],
    extendedKeyUsage,
    defaultValidity: DAY,
    maxValidity: 90 * DAY,
    backdate: 0,
    subject: 'commonName',
    nameTypes: ['dns', 'email', 'uri'],
    wildcard: false,
    policyIdentifiers: [],
    crlDistributionPoint: false,
    authorityInfoAccess: [],
    ocspNoCheck: false,
  };
  return compileTemplate(profile, {
    certificate,
    keyType: 'ec-p256',
    ocspUrl: 'http://127.0.0.1/ocsp',
    issuerUrl: 'http://127.0.0.1/ca.crt',
    crlBaseUrl: 'http://127.0.0.1/crl',
  });
}
