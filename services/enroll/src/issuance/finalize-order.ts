import type { KeyObject } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { type ReadOrderDeps, readOrder } from '../order/read-order.ts';
import type { Order } from '../ports/orders.ts';
import { checkCertificationRequest } from './check-certification-request.ts';
import type { OrderCompletion } from './complete-order.ts';
import { type RefuseUnissuableDeps, refuseUnissuable } from './refuse-unissuable.ts';

/** What finalizing an order needs. */
export interface FinalizeOrderDeps extends ReadOrderDeps, RefuseUnissuableDeps {
  readonly completion: OrderCompletion;
  /** The lease goes by what it believes. */
  readonly clockGuard: ClockGuard;
  /** Milliseconds that a client waits for its certificate before it is told to ask again. */
  readonly finalizeWait: number;
}

/**
 * Turns a ready order and a certification request into a certificate (RFC 8555 §7.4).
 *
 * However often and from wherever it is called for one order, one certificate comes of it: the step to `processing` happens
 * once and fixes the certification request; the enrolment request's id is the order's own (T1, T2, T5).
 *
 * Errors: NOT_FOUND, UNAUTHORIZED; those of checkCertificationRequest and refuseUnissuable, which leave the order ready;
 * ORDER_NOT_READY when it is pending, invalid, or was finalized with another certification request.
 */
export async function finalizeOrder(
  deps: FinalizeOrderDeps,
  signer: { readonly accountId: string; readonly publicKey: KeyObject },
  orderId: string,
  certificationRequest: Buffer,
): Promise<Order> {
  const order = await readOrder(deps, signer.accountId, orderId);
  if (order.status !== 'ready') return repeat(deps, order, certificationRequest);
  checkCertificationRequest(certificationRequest, order.identifiers, signer.publicKey);
  await refuseUnissuable(deps, order, certificationRequest);
  const processing = await durableStep('enroll.finalize', () =>
    deps.orders.step(order, {
      from: 'ready',
      to: 'processing',
      certificationRequest,
      resumeAt: deps.clockGuard.believed() + 3 * deps.finalizeWait,
    }),
  );
  if (processing) return deps.completion.completeWithin(processing, deps.finalizeWait);
  return repeat(deps, await readOrder(deps, signer.accountId, orderId), certificationRequest);
}

/** A finalize of an order that is not ready: the first one's result when it says the same, otherwise a refusal. */
function repeat(
  deps: FinalizeOrderDeps,
  order: Order,
  certificationRequest: Buffer,
): Promise<Order> {
  if (order.certificationRequest?.equals(certificationRequest) && order.status !== 'invalid') {
    return awaitOrder(deps, order);
  }
  throw new GigvaultError('ORDER_NOT_READY', `The order is ${order.status}.`);
}

/** The order; when it is in processing, after waiting a moment for its end. */
export async function awaitOrder(
  deps: Pick<FinalizeOrderDeps, 'completion' | 'finalizeWait'>,
  order: Order,
): Promise<Order> {
  return order.status === 'processing'
    ? deps.completion.completeWithin(order, deps.finalizeWait)
    : order;
}
