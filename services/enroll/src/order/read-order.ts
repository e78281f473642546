import { type ErrorRecord, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Authorization } from '@gigvault/proto/ra/v1/authorization';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { Order, OrderStep, Orders } from '../ports/orders.ts';
import type { Authorizations } from '../ports/registration-authority.ts';

/** What reading an order needs. */
export interface ReadOrderDeps {
  readonly orders: Orders;
  readonly authorizations: Authorizations;
  readonly clock: Clock;
}

/**
 * The account's order, as what has become of its authorizations and of time makes it (RFC 8555 §7.1.6). `ready` is never written down: it
 * says that the authorizations are valid now. Errors: NOT_FOUND; UNAUTHORIZED when it is another account's (T38).
 */
export async function readOrder(
  deps: ReadOrderDeps,
  accountId: string,
  orderId: string,
): Promise<Order> {
  const order = await findOwnOrder(deps.orders, accountId, orderId);
  if (order.status !== 'pending' && order.status !== 'ready') return order;
  const { status, end } = await standing(deps, order);
  if (!end) return { ...order, status };
  const moved = await durableStep('enroll.order-invalid', () => deps.orders.step(order, end));
  // When somebody else was faster, what they made of it counts.
  return moved ?? findOwnOrder(deps.orders, accountId, orderId);
}

/** The account's order as it is kept. Errors: NOT_FOUND, UNAUTHORIZED. */
export async function findOwnOrder(
  orders: Orders,
  accountId: string,
  orderId: string,
): Promise<Order> {
  const order = await orders.find(orderId);
  if (!order) throw new GigvaultError('NOT_FOUND', 'There is no such order.');
  if (order.accountId !== accountId)
    throw new GigvaultError('UNAUTHORIZED', 'The order belongs to another account.');
  return order;
}

/** Where an order stands that nobody has finalized, and the step that ends it if it has to. */
async function standing(
  deps: ReadOrderDeps,
  order: Order,
): Promise<{ readonly status: Order['status']; readonly end?: OrderStep }> {
  if (order.expiresAt <= deps.clock.now()) return { status: 'invalid', end: expiry(order) };
  const authorizations = await deps.authorizations.get(order.authorizationIds);
  const lost = authorizations.find(({ status }) => status !== 'pending' && status !== 'valid');
  if (lost) {
    const end = { from: order.status, to: 'invalid', error: lostAuthorization(lost) } as const;
    return { status: 'invalid', end };
  }
  const proved = authorizations.every(({ status }) => status === 'valid');
  return { status: proved ? 'ready' : 'pending' };
}

/** The end of an order whose time is over. */
export function expiry(order: Order): OrderStep {
  return {
    from: order.status,
    to: 'invalid',
    error: { code: 'ORDER_NOT_READY', message: 'The order expired.' },
  };
}

function lostAuthorization(authorization: Authorization): ErrorRecord {
  const name = authorization.identifier?.value ?? '';
  const reason =
    authorization.challenges.map(({ error }) => detailOf(error)).find((detail) => detail !== '') ??
    '';
  return {
    code: 'UNAUTHORIZED',
    message: `The authorization for ${name} is ${authorization.status}. ${reason}`.trim(),
  };
}

/** The `detail` of a challenge's problem document, '' when there is none. */
function detailOf(problem: string): string {
  if (problem === '') return '';
  const { detail } = JSON.parse(problem) as { detail?: unknown };
  return typeof detail === 'string' ? detail : '';
}
