import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type Clock, FakeClock } from '@gigvault/time/clock';
import { assembleSigned } from '@gigvault/x509/certificate';
import { compileTemplate } from '@gigvault/x509/certificate-template';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import { caSubject, type Plan, type SubordinateKind, standardPlan } from '../src/plan/plan.ts';
import type { Surroundings } from '../src/program.ts';

/** Now, so that openssl and this test agree on it. */
export const clock = new FakeClock(new Date().toISOString());

export const plan: Plan = standardPlan({
  organization: 'Test',
  trustDomain: 'gigvault.local',
  statusUrl: 'http://localhost:8080',
});

/** No terminal: nobody can be asked. */
export function surroundings(on: Clock = clock): Surroundings {
  const program = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  return { clock: on, streams: { input: new PassThrough(), output: new PassThrough() }, program };
}

/** A key pair of the planned type. */
export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** A request for a CA of the plan. */
export function request(kind: SubordinateKind, privateKey: KeyObject, generation = 1): Buffer {
  return buildCertificationRequest({
    privateKey,
    subject: caSubject(plan, kind, generation),
    subjectAltName: [],
  });
}

/** An end entity certificate with these names, straight from a CA's key. */
export function leaf(
  caCertificate: Buffer,
  caKey: KeyObject,
  names: readonly GeneralName[],
): Buffer {
  const hour = 3_600_000;
  const template = compileTemplate(
    {
      name: 'test',
      keyTypes: ['ec-p256'],
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
      defaultValidity: hour,
      maxValidity: 2 * hour,
      backdate: 0,
      subject: 'empty',
      nameTypes: ['uri', 'dns', 'ip'],
      wildcard: false,
      policyIdentifiers: [],
      crlDistributionPoint: true,
      authorityInfoAccess: ['caIssuers'],
      ocspNoCheck: false,
    },
    {
      certificate: caCertificate,
      keyType: 'ec-p256',
      ocspUrl: 'http://localhost:8080/ocsp',
      issuerUrl: 'http://localhost:8080/ca/services.crt',
      crlBaseUrl: 'http://localhost:8080/crl/services',
    },
  );
  const tbs = template.build({
    serialNumber: newSerialNumber(),
    notBefore: clock.now() - hour / 2,
    notAfter: clock.now() + hour,
    subject: [],
    subjectAltName: names,
    publicKey: publicKeyInfoOf(newKey()),
    crlShard: 0,
  });
  return assembleSigned(tbs, signatureAlgorithm('ec-p256'), signTbs(caKey, tbs));
}
