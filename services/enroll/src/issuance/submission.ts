import type { SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { requesterOf } from '../account/requester.ts';
import type { Order } from '../ports/orders.ts';

/** The enrolment request of an order: always the same, so that repeating it is harmless. */
export function submissionOf(order: Order, certificationRequest: Buffer): SubmitRequestRequest {
  return {
    requestId: order.requestId,
    protocol: 'acme',
    requester: requesterOf(order.accountId),
    profile: order.profile,
    profileHash: order.profileHash,
    certificationRequest,
    authorizationIds: [...order.authorizationIds],
    subjectAltName: order.identifiers.map(({ type, value }) => ({ type, value })),
    notBefore: order.notBefore,
    notAfter: order.notAfter,
    reason: '',
    roles: [],
    tenantId: '',
  };
}
