import type { Clock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import type { Plan } from '../plan/plan.ts';
import { rootTbs } from './planned-certificate.ts';
import { type Root, signAsRoot } from './root.ts';
import type { RootKey } from './root-key.ts';
import { validityOfYears } from './validity.ts';

/** The root of a new key: its self-signed certificate. Errors: those of signAsRoot. */
export async function createRoot(plan: Plan, key: RootKey, clock: Clock): Promise<Root> {
  const tbs = rootTbs(plan, {
    serialNumber: newSerialNumber(),
    publicKey: key.publicKey,
    ...validityOfYears(clock.now(), plan.root.validityYears, plan.backdateMinutes),
  });
  return { plan, certificate: readCertificate(await signAsRoot(key, tbs)), key };
}
