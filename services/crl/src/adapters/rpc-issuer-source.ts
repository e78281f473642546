import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import { readCertificate } from '@gigvault/x509/certificate';
import type { IssuerSource } from '../ports/issuer-source.ts';

/** The issuers of `ca`. */
export function rpcIssuerSource(ca: Client<IssuerService>): IssuerSource {
  return {
    async issuers() {
      const { issuers } = await ca.listIssuers({});
      return issuers.map(({ issuerId, certificate, keyId, crlBaseUrl, crlShards, state }) => ({
        issuerId,
        certificate,
        keyId,
        crlBaseUrl,
        crlShards,
        prepared: state === 'prepared',
        endsAt: state === 'retired' ? readCertificate(certificate).notAfter : undefined,
      }));
    },
    async confirm(issuerId) {
      await ca.confirmIssuer({ issuerId });
    },
  };
}
