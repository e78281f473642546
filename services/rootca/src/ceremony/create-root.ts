import { generateKeyPairSync } from 'node:crypto';
import type { Clock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { publicKeyInfoOf } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import type { Plan } from '../plan/plan.ts';
import { rootTbs } from './planned-certificate.ts';
import { type Root, signAsRoot } from './root.ts';
import { validityOfYears } from './validity.ts';

/** Makes the root's key, in memory only, and its self-signed certificate. */
export function createRoot(plan: Plan, clock: Clock): Root {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const publicKey = publicKeyInfoOf(privateKey);
  const tbs = rootTbs(plan, {
    serialNumber: newSerialNumber(),
    publicKey,
    ...validityOfYears(clock.now(), plan.root.validityYears, plan.backdateMinutes),
  });
  return { plan, certificate: readCertificate(signAsRoot(privateKey, publicKey, tbs)), privateKey };
}
