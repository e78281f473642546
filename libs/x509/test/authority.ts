import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { produced } from '@gigvault/testkit/produced';
import { buildCaTbsCertificate } from '../src/ca-certificate.ts';
import { assembleSigned, type ParsedCertificate, readCertificate } from '../src/certificate.ts';
import type { CertificateFields, IssuerInfo } from '../src/certificate-template.ts';
import type { Attribute } from '../src/name.ts';
import type { CertificateProfile } from '../src/profile.ts';
import { type KeyType, keyTypeOf, publicKeyInfoOf } from '../src/public-key.ts';
import { newSerialNumber } from '../src/serial-number.ts';
import { signatureAlgorithm, signTbs } from '../src/signature.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** When the tests take place. */
export const NOW = Date.UTC(2026, 10, 21, 12);

/** Profiles as the CA has them. */
export const TLS_SERVER: CertificateProfile = {
  name: 'tls-server',
  keyTypes: ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'],
  keyUsage: ['digitalSignature', 'keyEncipherment'],
  extendedKeyUsage: ['serverAuth'],
  defaultValidity: 47 * DAY,
  maxValidity: 90 * DAY,
  backdate: HOUR,
  subject: 'commonName',
  nameTypes: ['dns', 'ip'],
  wildcard: true,
  policyIdentifiers: [],
  crlDistributionPoint: true,
  authorityInfoAccess: ['ocsp', 'caIssuers'],
  ocspNoCheck: false,
};
export const OCSP_SIGNER: CertificateProfile = {
  ...TLS_SERVER,
  name: 'ocsp-signer',
  keyTypes: ['ec-p256'],
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['OCSPSigning'],
  subject: 'fixed',
  nameTypes: [],
  crlDistributionPoint: false,
  authorityInfoAccess: [],
  ocspNoCheck: true,
};

/** A fresh private key. */
export function newKey(keyType: KeyType = 'ec-p256'): KeyObject {
  switch (keyType) {
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ec-p256':
    case 'ec-p384':
    case 'ec-p521':
      return generateKeyPairSync('ec', { namedCurve: `P-${keyType.slice(-3)}` }).privateKey;
    default:
      return generateKeyPairSync('rsa', { modulusLength: Number(keyType.slice(4)) }).privateKey;
  }
}

/** A root and an issuing CA below it. */
export interface Authority {
  readonly root: ParsedCertificate;
  readonly rootKey: KeyObject;
  readonly certificate: ParsedCertificate;
  readonly key: KeyObject;
  readonly info: IssuerInfo;
}

export const ROOT_NAME: readonly Attribute[] = [
  { type: 'C', value: 'DE' },
  { type: 'O', value: 'Prüfstelle' },
  { type: 'CN', value: 'Test Root' },
];
export const ISSUER_NAME: readonly Attribute[] = [
  { type: 'O', value: 'GigVault Test' },
  { type: 'CN', value: 'Test Issuing CA' },
];

/** Makes both CAs with fresh keys. */
export function newAuthority(
  keyType: KeyType = 'ec-p256',
  rootKeyType: KeyType = 'ec-p384',
): Authority {
  const rootKey = newKey(rootKeyType);
  const key = newKey(keyType);
  const rootInfo = publicKeyInfoOf(rootKey);
  const root = issued(
    buildCaTbsCertificate({
      serialNumber: newSerialNumber(),
      issuer: ROOT_NAME,
      subject: ROOT_NAME,
      publicKey: rootInfo,
      issuerKeyIdentifier: rootInfo.keyIdentifier,
      signingKeyType: keyTypeOf(rootKey),
      notBefore: NOW - DAY,
      notAfter: NOW + 7300 * DAY,
    }),
    rootKey,
  );
  const issuing = issued(
    buildCaTbsCertificate({
      serialNumber: newSerialNumber(),
      issuer: readCertificate(root).subject,
      subject: ISSUER_NAME,
      publicKey: publicKeyInfoOf(key),
      issuerKeyIdentifier: rootInfo.keyIdentifier,
      signingKeyType: keyTypeOf(rootKey),
      notBefore: NOW - DAY,
      notAfter: NOW + 1825 * DAY,
      pathLenConstraint: 0,
      issuerUrl: 'http://status.example/ca/root.crt',
      crlUrl: 'http://status.example/crl/root/0.crl',
    }),
    rootKey,
  );
  return {
    root: readCertificate(root),
    rootKey,
    certificate: readCertificate(issuing),
    key,
    info: {
      certificate: issuing,
      keyType: keyTypeOf(key),
      ocspUrl: 'http://status.example/ocsp',
      issuerUrl: 'http://status.example/ca/issuing.crt',
      crlBaseUrl: 'http://status.example/crl/issuing',
    },
  };
}

/** A certificate as the product issues it: the strict readers look at it too. */
export function issued(tbs: Buffer, key: KeyObject): Buffer {
  return produced('certificate', signed(tbs, key));
}

/** The certificate or CRL over these bytes. */
export function signed(tbs: Buffer, key: KeyObject): Buffer {
  return assembleSigned(tbs, signatureAlgorithm(keyTypeOf(key)), signTbs(key, tbs));
}

/** Fields of a server certificate, to be changed as a test needs. */
export function leafFields(
  key: KeyObject,
  change: Partial<CertificateFields> = {},
): CertificateFields {
  return {
    serialNumber: newSerialNumber(),
    notBefore: NOW,
    notAfter: NOW + 47 * DAY,
    subject: [{ type: 'CN', value: 'api.example.com' }],
    subjectAltName: [
      { type: 'dns', value: 'api.example.com' },
      { type: 'ip', value: '192.0.2.1' },
      { type: 'ip', value: '2001:db8::1' },
    ],
    publicKey: publicKeyInfoOf(key),
    crlShard: 0,
    ...change,
  };
}

/** Runs Debian's openssl over files in a directory of their own; returns what it printed on both streams, throws it when it fails. */
export function openssl(
  args: readonly string[],
  files: Readonly<Record<string, Buffer | string>> = {},
): string {
  return inDirectory(files, (directory) => run(directory, args));
}

/** Runs openssl as above and returns the file `out` that it wrote. */
export function opensslFile(
  args: readonly string[],
  files: Readonly<Record<string, Buffer | string>>,
): Buffer {
  return inDirectory(files, (directory) => {
    run(directory, args);
    return readFileSync(join(directory, 'out'));
  });
}

function inDirectory<T>(
  files: Readonly<Record<string, Buffer | string>>,
  use: (directory: string) => T,
): T {
  const directory = mkdtempSync(join(tmpdir(), 'gigvault-x509-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(directory, name), content);
    }
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function run(cwd: string, args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync('openssl', args, { cwd, encoding: 'utf8' });
  if (error !== undefined) throw new Error(`These tests need openssl: ${error.message}`);
  if (status !== 0) throw new Error(stdout + stderr);
  return stdout + stderr;
}
