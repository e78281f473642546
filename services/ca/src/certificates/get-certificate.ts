import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Certificate } from '@gigvault/proto/ca/v1/certificate';
import type { Clock } from '@gigvault/time/clock';
import { parseSerialNumber } from '@gigvault/x509/serial-number';
import type { CertificateRecord, CertificateStore } from '../ports/certificate-store.ts';

/** What reading certificates needs. */
export interface CertificateDeps {
  readonly certificates: CertificateStore;
  readonly clock: Clock;
}

/**
 * One certificate.
 *
 * @param request serialNumber as people write it: hex with or without colons, `{decimal}`; issuerId empty for any issuer.
 * Errors: CERTIFICATE_NOT_FOUND; INVALID_ARGUMENT when it is no serial number, or several issuers have it.
 */
export async function getCertificate(
  deps: CertificateDeps,
  request: { readonly serialNumber: string; readonly issuerId: string },
): Promise<Certificate> {
  const serialNumber = parseSerialNumber(request.serialNumber);
  const issuerId = request.issuerId === '' ? undefined : request.issuerId;
  const found = await deps.certificates.findBySerialNumber(serialNumber, issuerId);
  if (found.length > 1) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'Several issuers have this serial number; name one.',
      {
        details: { serialNumber, issuers: found.map((record) => record.issuerId).join(', ') },
      },
    );
  }
  if (found[0] !== undefined) return toWireCertificate(found[0], deps.clock.now());
  throw certificateNotFound(serialNumber);
}

/** CERTIFICATE_NOT_FOUND. */
export function certificateNotFound(serialNumber: string): GigvaultError {
  return new GigvaultError('CERTIFICATE_NOT_FOUND', `There is no certificate ${serialNumber}.`, {
    details: { serialNumber },
  });
}

/** A certificate as it travels. `expired` is computed: nothing in the database changes when a certificate expires. */
export function toWireCertificate(record: CertificateRecord, now: number): Certificate {
  return {
    ...record,
    names: [...record.names],
    certificate: record.certificate ?? Buffer.alloc(0),
    status: record.status === 'valid' && record.notAfter < now ? 'expired' : record.status,
    revokedAt: record.revokedAt ?? 0,
    reasonCode: record.reasonCode ?? 0,
  };
}
