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
 * The account's order, moved on by what has become of its authorizations and of time (RFC 8555 §7.1.6).
 * Errors: NOT_FOUND; UNAUTHORIZED when it is another account's (T38).
 */
export async function readOrder(
  deps: ReadOrderDeps,
  accountId: string,
  orderId: string,
): Promise<Order> {
  const order = await findOwnOrder(deps.orders, accountId, orderId);
  const step = await nextStep(deps, order);
  if (!step) return order;
  // When somebody else was faster, what they made of it counts.
  const move = () => deps.orders.step(order, step);
  const moved =
    step.to === 'ready'
      ? await durableStep('enroll.order-ready', move)
      : await durableStep('enroll.order-invalid', move);
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

async function nextStep(deps: ReadOrderDeps, order: Order): Promise<OrderStep | undefined> {
  if (order.status !== 'pending' && order.status !== 'ready') return undefined;
  if (order.expiresAt <= deps.clock.now()) return expiry(order);
  const authorizations = await deps.authorizations.get(order.authorizationIds);
  const lost = authorizations.find(({ status }) => status !== 'pending' && status !== 'valid');
  if (lost) return { from: order.status, to: 'invalid', error: lostAuthorization(lost) };
  const proved = authorizations.every(({ status }) => status === 'valid');
  return proved && order.status === 'pending' ? { from: 'pending', to: 'ready' } : undefined;
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
