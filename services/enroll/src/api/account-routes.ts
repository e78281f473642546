import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpReply, HttpRoute } from '@gigvault/http/route';
import { changeKey } from '../account/change-key.ts';
import { type CreateAccountDeps, createAccount } from '../account/create-account.ts';
import { updateAccount } from '../account/update-account.ts';
import type { Account } from '../ports/accounts.ts';
import type { Orders } from '../ports/orders.ts';
import { type AcmeRequest, type AcmeRouteDeps, type AcmeRoutes, errorReply } from './acme-route.ts';
import { accountDocument } from './documents.ts';
import {
  accountUpdatePayload,
  newAccountPayload,
  readPayload,
  requireNoPayload,
} from './payloads.ts';

interface Deps extends AcmeRouteDeps, CreateAccountDeps {
  readonly orders: Orders;
}

const ORDERS_PAGE = 50;

/** new-account, account, its orders, key-change (RFC 8555 §7.3, §7.1.2.1). */
export function accountRoutes(deps: Deps, routes: AcmeRoutes): HttpRoute[] {
  return [
    routes.signed('/new-account', 'jwk', (request) => newAccount(deps, request)),
    routes.account('/account/:accountId', (request) => account(deps, request)),
    routes.account('/account/:accountId/orders', (request) => ordersOf(deps, request)),
    routes.account('/key-change', (request) => keyChange(deps, request)),
  ];
}

async function newAccount(
  deps: Deps,
  { signer, payload, clientIp }: AcmeRequest,
): Promise<HttpReply> {
  if (signer.kind !== 'key') throw new GigvaultError('INVALID_ARGUMENT', 'Sign with "jwk".');
  const { account, created } = await createAccount(
    deps,
    signer.key,
    readPayload(payload, newAccountPayload),
    clientIp,
  );
  return accountReply(deps, account, created ? 201 : 200);
}

async function account(
  deps: Deps,
  { signer, payload, params }: AcmeRequest<Account>,
): Promise<HttpReply> {
  requireOwn(signer, params['accountId']);
  if (payload.length === 0) return accountReply(deps, signer, 200);
  return accountReply(
    deps,
    await updateAccount(deps, signer, readPayload(payload, accountUpdatePayload)),
    200,
  );
}

async function ordersOf(
  deps: Deps,
  { signer, payload, params, query }: AcmeRequest<Account>,
): Promise<HttpReply> {
  requireOwn(signer, params['accountId']);
  requireNoPayload(payload);
  const cursor = query['cursor'];
  if (cursor !== undefined && !/^[\w-]{1,64}$/.test(cursor)) {
    throw new GigvaultError('INVALID_ARGUMENT', 'The cursor is not one of ours.');
  }
  const orders = await deps.orders.list(signer.accountId, cursor, ORDERS_PAGE);
  const next =
    orders.length === ORDERS_PAGE
      ? deps.urls.orders(signer.accountId, orders.at(-1)!.orderId)
      : undefined;
  return {
    status: 200,
    headers: next === undefined ? {} : { link: `<${next}>;rel="next"` },
    body: { orders: orders.map((order) => deps.urls.order(order.orderId)) },
  };
}

async function keyChange(
  deps: Deps,
  { signer, payload, url }: AcmeRequest<Account>,
): Promise<HttpReply> {
  const accountUrl = deps.urls.account(signer.accountId);
  const change = await changeKey(deps, signer, { payload, url, accountUrl });
  if (change.outcome === 'changed') return accountReply(deps, change.account, 200);
  const reply = errorReply(
    new GigvaultError('ALREADY_EXISTS', 'Another account, or this one, has that key.'),
  );
  return { ...reply, headers: { ...reply.headers, location: deps.urls.account(change.holder) } };
}

function requireOwn(signer: Account, accountId: string | undefined): void {
  if (signer.accountId !== accountId)
    throw new GigvaultError('UNAUTHORIZED', 'That is another account.');
}

function accountReply(deps: Deps, account: Account, status: number): HttpReply {
  return {
    status,
    headers: { location: deps.urls.account(account.accountId) },
    body: accountDocument(deps.urls, account),
  };
}
