import type { HttpReply, HttpRoute } from '@gigvault/http/route';
import { awaitOrder, type FinalizeOrderDeps, finalizeOrder } from '../issuance/finalize-order.ts';
import { type CreateOrderDeps, createOrder } from '../order/create-order.ts';
import { readOrder } from '../order/read-order.ts';
import type { Account } from '../ports/accounts.ts';
import type { Order } from '../ports/orders.ts';
import type { AcmeRequest, AcmeRouteDeps, AcmeRoutes } from './acme-route.ts';
import { orderDocument } from './documents.ts';
import { finalizePayload, newOrderPayload, readPayload, requireNoPayload } from './payloads.ts';

interface Deps extends AcmeRouteDeps, CreateOrderDeps, FinalizeOrderDeps {
  readonly retryAfter: number;
}

/** new-order, order, finalize (RFC 8555 §7.4). */
export function orderRoutes(deps: Deps, routes: AcmeRoutes): HttpRoute[] {
  return [
    routes.account('/new-order', async ({ signer, payload }) =>
      orderReply(
        deps,
        await createOrder(deps, signer.accountId, readPayload(payload, newOrderPayload)),
        201,
      ),
    ),
    routes.account('/order/:orderId', async ({ signer, payload, params }) => {
      requireNoPayload(payload);
      const order = await readOrder(deps, signer.accountId, params['orderId']!);
      return orderReply(deps, await awaitOrder(deps, order), 200);
    }),
    routes.account('/order/:orderId/finalize', (request) => finalize(deps, request)),
  ];
}

async function finalize(
  deps: Deps,
  { signer, payload, params }: AcmeRequest<Account>,
): Promise<HttpReply> {
  const { csr } = readPayload(payload, finalizePayload);
  const by = { accountId: signer.accountId, publicKey: deps.keyOf(signer) };
  return orderReply(deps, await finalizeOrder(deps, by, params['orderId']!, csr), 200);
}

function orderReply(deps: Deps, order: Order, status: number): HttpReply {
  return {
    status,
    headers: {
      location: deps.urls.order(order.orderId),
      ...(order.status === 'processing' ? { 'retry-after': String(deps.retryAfter) } : {}),
    },
    body: orderDocument(deps.urls, order),
  };
}
