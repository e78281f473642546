import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type {
  CertificateStatus,
  GetCertificateStatusRequest,
} from '@gigvault/proto/ca/v1/certificate';
import type { CertificateStatusRecord, CertificateStore } from '../ports/certificate-store.ts';

const MAX_SERIALS = 100;

/**
 * The truth behind an OCSP answer, one for each serial number, in order. Only a stored certificate is `good`: what was never
 * assigned, or was assigned and is not signed yet, is `unknown` (RFC 6960 §2.2; faults T3, T53).
 * Errors: INVALID_ARGUMENT.
 */
export async function getCertificateStatus(
  deps: { readonly certificates: CertificateStore },
  { issuerId, serialNumbers }: GetCertificateStatusRequest,
): Promise<CertificateStatus[]> {
  if (serialNumbers.length === 0 || serialNumbers.length > MAX_SERIALS) {
    throw new GigvaultError('INVALID_ARGUMENT', `Ask for 1 to ${MAX_SERIALS} serial numbers.`);
  }
  const records = await deps.certificates.statusOf(issuerId, serialNumbers);
  // Of two issuers' certificates with one serial number the revoked one counts.
  const { valid = [], revoked = [] } = Object.groupBy(records, ({ status }) => status);
  const bySerialNumber = new Map(
    [...valid, ...revoked].map((record) => [record.serialNumber, record]),
  );
  return serialNumbers.map((serialNumber) =>
    toStatus(serialNumber, bySerialNumber.get(serialNumber)),
  );
}

function toStatus(
  serialNumber: string,
  record: CertificateStatusRecord | undefined,
): CertificateStatus {
  if (record === undefined) {
    return { serialNumber, status: 'unknown', revokedAt: 0, reasonCode: 0, notAfter: 0 };
  }
  return {
    serialNumber,
    status: record.status === 'revoked' ? 'revoked' : 'good',
    revokedAt: record.revokedAt ?? 0,
    reasonCode: record.reasonCode ?? 0,
    notAfter: record.notAfter,
  };
}
