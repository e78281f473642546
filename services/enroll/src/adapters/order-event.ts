import { hash } from 'node:crypto';
import type { NewEvent } from '@gigvault/database/new-event';
import { requesterOf } from '../account/requester.ts';
import type { Order, OrderStep, StepTarget } from '../ports/orders.ts';

/** The event of a new order. */
export function orderCreated(order: Order): NewEvent {
  const { accountId, identifiers, authorizationIds, profile, profileHash, requestId, expiresAt } =
    order;
  const names = identifiers.map(({ type, value }) => `${type}:${value}`);
  return {
    type: 'order.created',
    actor: requesterOf(accountId),
    subject: order.orderId,
    data: { accountId, names, authorizationIds, profile, profileHash, requestId, expiresAt },
  };
}

/** The event of a step; steps that say nothing new have none: the certificate's own event is the CA's. */
export function orderStepped(order: StepTarget, step: OrderStep): readonly NewEvent[] {
  const { accountId, requestId, orderId } = order;
  if (step.to === 'processing' && step.from === 'ready') {
    return [
      {
        type: 'order.finalized',
        actor: requesterOf(accountId),
        subject: orderId,
        data: {
          accountId,
          requestId,
          certificationRequestSha256: sha256(step.certificationRequest),
        },
      },
    ];
  }
  if (step.to === 'ready') {
    const { code, message } = step.error;
    return [
      {
        type: 'order.refused',
        actor: 'service:enroll',
        subject: orderId,
        data: { accountId, certificationRequestSha256: sha256(step.refused), code, message },
      },
    ];
  }
  if (step.to === 'invalid') {
    const { code, message } = step.error;
    return [
      {
        type: 'order.invalid',
        actor: 'service:enroll',
        subject: orderId,
        data: { accountId, requestId, from: step.from, code, message },
      },
    ];
  }
  return [];
}

function sha256(octets: Buffer): string {
  return hash('sha256', octets, 'hex');
}
