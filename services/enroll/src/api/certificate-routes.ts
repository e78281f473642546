import type { HttpReply, HttpRoute } from '@gigvault/http/route';
import { downloadCertificate } from '../issuance/download-certificate.ts';
import type { Signer } from '../jws/verify-request.ts';
import {
  type RevokeCertificateDeps,
  type Revoker,
  revokeCertificate,
} from '../revocation/revoke-certificate.ts';
import type { AcmeRequest, AcmeRouteDeps, AcmeRoutes } from './acme-route.ts';
import { readPayload, requireNoPayload, revocationPayload } from './payloads.ts';

interface Deps extends AcmeRouteDeps, RevokeCertificateDeps {}

/** Certificates and revoke-cert (RFC 8555 §7.4.2, §7.6). A certificate's URL is named by its order. */
export function certificateRoutes(deps: Deps, routes: AcmeRoutes): HttpRoute[] {
  return [
    routes.account('/cert/:orderId', async ({ signer, payload, params }) => {
      requireNoPayload(payload);
      return {
        status: 200,
        headers: { 'content-type': 'application/pem-certificate-chain' },
        body: await downloadCertificate(deps.orders, signer.accountId, params['orderId']!),
      };
    }),
    routes.signed('/revoke-cert', 'either', (request) => revoke(deps, request)),
  ];
}

async function revoke(deps: Deps, { signer, payload }: AcmeRequest): Promise<HttpReply> {
  const { certificate, reason } = readPayload(payload, revocationPayload);
  await revokeCertificate(deps, revokerOf(signer), { certificate, reasonCode: reason });
  return { status: 200 };
}

function revokerOf(signer: Signer): Revoker {
  return signer.kind === 'account'
    ? { kind: 'account', accountId: signer.account.accountId }
    : { kind: 'key', publicKey: signer.publicKey, thumbprint: signer.key.thumbprint };
}
