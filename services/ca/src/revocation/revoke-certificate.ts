import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  RevokeCertificateRequest,
  RevokeCertificateResponse,
} from '@gigvault/proto/ca/v1/revocation';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { parseSerialNumber } from '@gigvault/x509/serial-number';
import type { RevocationObserver } from '../ports/observer.ts';
import type { RevocationStore } from '../ports/revocation-store.ts';
import { checkReasonCode } from './revocation-reason.ts';
import { revokedEvent } from './revoked-event.ts';

/** What revocation needs. */
export interface RevokeDeps {
  readonly revocations: RevocationStore;
  readonly clockGuard: ClockGuard;
  readonly observer: RevocationObserver;
  /** Told after a key was blocked: its other certificates wait. */
  keyCompromised(): void;
}

/**
 * Marks a certificate revoked for ever; docs/flows/revocation.md. The caller has authorised `actor`. Never waits for the audit
 * service nor for a clock that was set, and expired certificates may be revoked as well: a compromised key is worth telling. keyCompromise also
 * blocks the key; revoke-compromised.ts then revokes its other certificates.
 * Errors: INVALID_ARGUMENT, BAD_REVOCATION_REASON, CERTIFICATE_NOT_FOUND, ALREADY_REVOKED, UNAVAILABLE.
 */
export async function revokeCertificate(
  deps: RevokeDeps,
  request: RevokeCertificateRequest,
): Promise<RevokeCertificateResponse> {
  const reason = checkReasonCode(request.reasonCode);
  if (request.actor === '')
    throw new GigvaultError('INVALID_ARGUMENT', 'A revocation names who asked for it.');
  const serialNumber = parseSerialNumber(request.serialNumber);
  const issuerId = await issuerOf(deps.revocations, serialNumber, request.issuerId);
  const revoked = await deps.revocations.revoke(
    { issuerId, serialNumber, reasonCode: request.reasonCode, at: deps.clockGuard.believed() },
    (certificate) => revokedEvent(certificate, request.actor),
  );
  if (revoked === undefined) {
    throw new GigvaultError('ALREADY_REVOKED', `Certificate ${serialNumber} is revoked already.`, {
      details: { serialNumber, issuerId },
    });
  }
  deps.observer.revoked(issuerId, reason);
  if (reason === 'keyCompromise') deps.keyCompromised();
  return { serialNumber, issuerId, revokedAt: revoked.revokedAt, reasonCode: revoked.reasonCode };
}

async function issuerOf(
  store: RevocationStore,
  serialNumber: string,
  wanted: string,
): Promise<string> {
  const issuers = await store.issuersOf(serialNumber);
  const matching = wanted === '' ? issuers : issuers.filter((issuerId) => issuerId === wanted);
  if (matching.length > 1) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'Several issuers have this serial number; name one.',
      {
        details: { serialNumber, issuers: matching.join(', ') },
      },
    );
  }
  if (matching[0] !== undefined) return matching[0];
  throw new GigvaultError('CERTIFICATE_NOT_FOUND', `There is no certificate ${serialNumber}.`, {
    details: { serialNumber },
  });
}
