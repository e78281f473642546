import { generateKeyPairSync } from 'node:crypto';
import type { Clock } from '@gigvault/time/clock';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { readCertificate } from '@gigvault/x509/certificate';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { caSubject, type Plan } from '../plan/plan.ts';
import { type Root, signAsRoot } from './root.ts';
import { validityOfYears } from './validity.ts';

/** Makes the root's key, in memory only, and its self-signed certificate. */
export function createRoot(plan: Plan, clock: Clock): Root {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const publicKey = publicKeyInfoOf(privateKey);
  const subject = caSubject(plan, 'root');
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: subject,
    subject,
    publicKey,
    issuerKeyIdentifier: publicKey.keyIdentifier,
    signingKeyType: publicKey.keyType,
    ...validityOfYears(clock.now(), plan.root.validityYears, plan.backdateMinutes),
  });
  return { plan, certificate: readCertificate(signAsRoot(privateKey, publicKey, tbs)), privateKey };
}
