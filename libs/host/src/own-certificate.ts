import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { Client } from '@gigvault/rpc/call';
import { readCertificate } from '@gigvault/x509/certificate';
import { fromPem } from '@gigvault/x509/pem';

/**
 * Whether `ca` says that a certificate which this process presents is revoked: then its key is known to somebody else, and a new one is due.
 * A certificate of another CA is none of its business: false.
 *
 * @param pem the first certificate counts
 * Errors: INVALID_ARGUMENT for what holds no certificate; those of the call.
 */
export async function isRevoked(
  certificates: Client<CertificateService>,
  issuerId: string,
  pem: string,
): Promise<boolean> {
  const [der] = fromPem(pem, 'CERTIFICATE') as [Buffer];
  const serialNumbers = [readCertificate(der).serialNumber];
  const { statuses } = await certificates.getCertificateStatus({ issuerId, serialNumbers });
  return statuses[0]?.status === 'revoked';
}
