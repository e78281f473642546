import type { IssuerService } from '@gigvault/proto/ca/v1/issuer';
import type { Client } from '@gigvault/rpc/call';
import type { IssuerSource } from '../ports/issuer-source.ts';

/** The issuers of `ca`. */
export function rpcIssuerSource(ca: Client<IssuerService>): IssuerSource {
  return {
    async issuers() {
      const { issuers } = await ca.listIssuers({});
      return issuers.map(({ issuerId, certificate, keyId, crlBaseUrl, crlShards }) => ({
        issuerId,
        certificate,
        keyId,
        crlBaseUrl,
        crlShards,
      }));
    },
  };
}
