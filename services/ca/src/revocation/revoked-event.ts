import type { CaEvent } from '../ports/event.ts';
import type { RevokedCertificate } from '../ports/revocation-store.ts';

/** Written with every revocation. */
export function revokedEvent(certificate: RevokedCertificate, actor: string): CaEvent {
  return {
    type: 'certificate.revoked',
    actor,
    subject: certificate.serialNumber,
    data: certificate,
  };
}
