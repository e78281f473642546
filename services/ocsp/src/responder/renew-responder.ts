import { createHash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { isSignedBy, type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { OID } from '@gigvault/x509/oid';
import type { Issuer, ResponderAuthority } from '../ports/responder-authority.ts';
import type { ResponderRecord, ResponderStore } from '../ports/responder-store.ts';

/** What renewing needs. */
export interface RenewDeps {
  readonly authority: ResponderAuthority;
  readonly store: ResponderStore;
  readonly clock: Clock;
  /** Whether a certificate of a CA is revoked, by its serial number in lower-case hex. */
  isRevoked(issuerId: string, serialNumber: string): Promise<boolean>;
}

const DAY = 86_400_000;
/** id-kp-OCSPSigning as it stands in the extension: OBJECT IDENTIFIER, DER. */
const OCSP_SIGNING_DER = Buffer.from('06082b06010505070309', 'hex');

/**
 * The issuer's responder certificate, renewed when half of its life is over, when it is not valid yet, or when the CA's certificate has changed; and when it is revoked,
 * with a new key, since then the old one has leaked.
 *
 * The request's id follows from the certificate that is replaced and the day, so a crash before the certificate is stored gets
 * the same certificate again.
 * Errors: those of ResponderAuthority and isRevoked; INTERNAL when the CA's certificate does not fit.
 */
export async function renewResponder(
  deps: RenewDeps,
  issuer: Issuer,
  current: ResponderRecord | undefined,
): Promise<ResponderRecord> {
  const now = deps.clock.now();
  const revoked = current !== undefined && (await isRevoked(deps, current));
  if (current && !revoked && !isDue(current, issuer, now)) return current;
  const keyId = keyIdFor(issuer.issuerId, current, revoked);
  const subjectPublicKeyInfo = await deps.authority.publicKey(keyId);
  const der = await deps.authority.certify({
    requestId: requestId(issuer, subjectPublicKeyInfo, current, now),
    issuerId: issuer.issuerId,
    subjectPublicKeyInfo,
  });
  const certificate = readCertificate(der);
  assertFits(certificate, readCertificate(issuer.certificate), subjectPublicKeyInfo, now);
  const record = {
    issuerId: issuer.issuerId,
    issuerCertificate: issuer.certificate,
    certificate: der,
    keyId,
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
  };
  await durableStep('ocsp.responder', () => deps.store.save(record, current?.certificate));
  return record;
}

function isRevoked(deps: RenewDeps, { issuerId, certificate }: ResponderRecord): Promise<boolean> {
  return deps.isRevoked(issuerId, readCertificate(certificate).serialNumber);
}

/**
 * The name of the key in keymgr: `ocsp-<issuerId>`, then `ocsp-<issuerId>-K2`, `-K3` and so on, one for each revocation; `ca` knows them by
 * these names. A capital letter is in no issuer's id.
 */
function keyIdFor(issuerId: string, current: ResponderRecord | undefined, next: boolean): string {
  const first = `ocsp-${issuerId}`;
  const keyId = current?.keyId ?? first;
  if (!next) return keyId;
  const number = keyId === first ? 1 : Number(keyId.slice(`${first}-K`.length));
  return `${first}-K${number + 1}`;
}

/** Half of the life is over or it has not begun, as a clock that was ahead leaves it; or the CA has another certificate. */
function isDue(current: ResponderRecord, issuer: Issuer, now: number): boolean {
  const half = current.notBefore + (current.notAfter - current.notBefore) / 2;
  return (
    now < current.notBefore || now >= half || !current.issuerCertificate.equals(issuer.certificate)
  );
}

function requestId(
  issuer: Issuer,
  subjectPublicKeyInfo: Buffer,
  current: ResponderRecord | undefined,
  now: number,
): string {
  const hex = createHash('sha256')
    .update(issuer.certificate)
    .update(subjectPublicKeyInfo)
    .update(current?.certificate ?? '')
    .update(String(Math.floor(now / DAY)))
    .digest('hex');
  // RFC 9562 §5.8: version 8, variant 10.
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

function assertFits(
  certificate: ParsedCertificate,
  issuer: ParsedCertificate,
  subjectPublicKeyInfo: Buffer,
  now: number,
): void {
  const usage = certificate.extensions.get(OID.extKeyUsage)?.value;
  const wrong =
    (!certificate.publicKey.spki.equals(subjectPublicKeyInfo) && 'is for another key') ||
    (!usage?.includes(OCSP_SIGNING_DER) && 'lacks the extended key usage OCSPSigning') ||
    (now >= certificate.notAfter && 'is expired') ||
    (!isSignedBy(certificate, issuer) && 'is not signed by its CA');
  if (wrong) throw new GigvaultError('INTERNAL', `The responder certificate ${wrong}.`);
}
