import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { parseCertificationRequest } from '@gigvault/x509/certification-request';
import { encodeName, formatName } from '@gigvault/x509/name';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { caGeneration, caSubject, type Plan, type SubordinateKind } from '../plan/plan.ts';
import { type PlannedCa, subordinateTbs } from './planned-certificate.ts';
import { type Root, signAsRoot } from './root.ts';
import { requireWithin, validityOfYears } from './validity.ts';

/** What a request asks for, once it is as planned. */
export interface RequestedCa extends PlannedCa {
  readonly publicKey: PublicKeyInfo;
}

/**
 * The certificate of a CA below the root, as the plan says, for the key in a PKCS #10 request: cA TRUE, path length 0. The services CA is
 * constrained to identities of the trust domain. A request of the issuing CA's next key names its generation.
 * Errors: BAD_CSR or BAD_PUBLIC_KEY for the request, INVALID_ARGUMENT when it asks for another subject or key type than the plan, or
 * when the root ends earlier.
 */
export async function signSubordinateCa(
  root: Root,
  kind: SubordinateKind,
  certificationRequest: Buffer,
  clock: Clock,
): Promise<ParsedCertificate> {
  return signCaKey(root, requestedCa(root.plan, kind, certificationRequest), clock);
}

/**
 * The key of a request that is as planned and proves possession, and which of the CA's keys it is.
 * Errors: BAD_CSR, BAD_PUBLIC_KEY; INVALID_ARGUMENT for another subject or key type than the plan's.
 */
export function requestedCa(
  plan: Plan,
  kind: SubordinateKind,
  certificationRequest: Buffer,
): RequestedCa {
  const { subject, publicKey } = parseCertificationRequest(certificationRequest);
  const generation = caGeneration(plan, kind, encodeName(subject));
  if (generation === undefined) {
    const planned = formatName(caSubject(plan, kind));
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The request is for "${formatName(subject)}", the plan says "${planned}".`,
    );
  }
  requireKeyType(plan, kind, publicKey);
  return { kind, generation, publicKey };
}

/** As signSubordinateCa, for a key whose possession the caller has proved in another way. */
export async function signCaKey(
  root: Root,
  { kind, generation, publicKey }: RequestedCa,
  clock: Clock,
): Promise<ParsedCertificate> {
  const { plan, certificate, key } = root;
  requireKeyType(plan, kind, publicKey);
  const validity = validityOfYears(clock.now(), plan[kind].validityYears, plan.backdateMinutes);
  requireWithin(validity, certificate);
  const serialNumber = newSerialNumber();
  const unplanned = { serialNumber, publicKey, ...validity };
  const tbs = subordinateTbs(plan, { kind, generation }, certificate, unplanned);
  return readCertificate(await signAsRoot(key, tbs));
}

function requireKeyType(plan: Plan, kind: SubordinateKind, { keyType }: PublicKeyInfo): void {
  const planned = plan[kind].keyType;
  if (keyType === planned) return;
  throw new GigvaultError('INVALID_ARGUMENT', `The key is ${keyType}, the plan says ${planned}.`);
}
