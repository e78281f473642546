import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { Client } from '@gigvault/rpc/call';
import type { Revocations } from '../ports/revocations.ts';

/** Milliseconds. */
const DEADLINE = 3_000;

/** Asks `ca`, whichever issuer of its own signed it. */
export function rpcRevocations(certificates: Client<CertificateService>): Revocations {
  return {
    async isRevoked(serialNumber) {
      try {
        const request = { serialNumber, issuerId: '' };
        const { status } = await certificates.getCertificate(request, { deadline: DEADLINE });
        return status === 'revoked';
      } catch (error) {
        if (error instanceof GigvaultError && error.code === 'CERTIFICATE_NOT_FOUND') return false;
        throw error;
      }
    },
  };
}
