import type { HttpReply, HttpRoute } from '@gigvault/http/route';
import type { CreateAccountDeps } from '../account/create-account.ts';
import type { FinalizeOrderDeps } from '../issuance/finalize-order.ts';
import type { CreateOrderDeps } from '../order/create-order.ts';
import type { RevokeCertificateDeps } from '../revocation/revoke-certificate.ts';
import { accountRoutes } from './account-routes.ts';
import { type AcmeRouteDeps, type AcmeRoutes, acmeRoutes } from './acme-route.ts';
import { authorizationRoutes } from './authorization-routes.ts';
import { certificateRoutes } from './certificate-routes.ts';
import { type DirectoryMeta, directoryDocument } from './documents.ts';
import { orderRoutes } from './order-routes.ts';

/** What the ACME API needs: the flows' parts, and how to speak of them. */
export interface AcmeApiDeps
  extends AcmeRouteDeps,
    CreateAccountDeps,
    CreateOrderDeps,
    FinalizeOrderDeps,
    RevokeCertificateDeps {
  readonly meta: DirectoryMeta;
  /** Seconds after which a client asks again for what is being worked on. */
  readonly retryAfter: number;
}

/** The resources of RFC 8555 §7.1. */
export function acmeApi(deps: AcmeApiDeps): HttpRoute[] {
  const routes = acmeRoutes(deps);
  return [
    ...publicRoutes(deps, routes),
    ...accountRoutes(deps, routes),
    ...orderRoutes(deps, routes),
    ...authorizationRoutes(deps, routes),
    ...certificateRoutes(deps, routes),
  ];
}

function publicRoutes(deps: AcmeApiDeps, routes: AcmeRoutes): HttpRoute[] {
  const directory = Buffer.from(JSON.stringify(directoryDocument(deps.urls, deps.meta), null, 2));
  const directoryReply = (body?: Buffer): HttpReply => ({
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    ...(body ? { body } : {}),
  });
  const nonceReply = (status: number): HttpReply => ({
    status,
    headers: {
      link: `<${deps.urls.directory}>;rel="index"`,
      'replay-nonce': deps.nonces.issue(),
      'cache-control': 'no-store',
    },
  });
  return [
    routes.read('HEAD', '/directory', () => directoryReply()),
    routes.read('GET', '/directory', () => directoryReply(directory)),
    routes.read('HEAD', '/new-nonce', () => nonceReply(200)),
    routes.read('GET', '/new-nonce', () => nonceReply(204)),
  ];
}
