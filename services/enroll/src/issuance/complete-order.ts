import {
  asGigvaultError,
  type ErrorRecord,
  type GigvaultError,
  toErrorRecord,
} from '@gigvault/errors/gigvault-error';
import type { EnrolmentRequest, SubmitRequestRequest } from '@gigvault/proto/ra/v1/enrolment';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { createSingleFlight } from '@gigvault/time/single-flight';
import { requesterOf } from '../account/requester.ts';
import type { Order, OrderStep, Orders } from '../ports/orders.ts';
import type { Enrolment } from '../ports/registration-authority.ts';

/** What completing an order needs. */
export interface CompleteOrderDeps {
  readonly orders: Orders;
  readonly enrolment: Enrolment;
  readonly clock: Clock;
  readonly log: Log;
}

/** Takes orders from `processing` to their end. */
export interface OrderCompletion {
  /**
   * Submits the order's request and keeps what comes of it: `valid`, `invalid`, or `processing` while people decide and
   * after a failure that may pass. Callers that ask for the same order at the same time share one run (T1).
   */
  complete(order: Order): Promise<Order>;
  /** As complete, but answers after `wait` milliseconds with the order as it is; the run goes on. */
  completeWithin(order: Order, wait: number): Promise<Order>;
}

const SHORTEST_PAUSE = 2_000;
const LONGEST_PAUSE = 600_000;

/** An OrderCompletion; one a process. */
export function createOrderCompletion(deps: CompleteOrderDeps): OrderCompletion {
  const flights = createSingleFlight<Order>();

  function complete(order: Order): Promise<Order> {
    return flights.join(order.orderId, () => runOnce(deps, order));
  }

  async function completeWithin(order: Order, wait: number): Promise<Order> {
    const enough = new AbortController();
    const late = deps.clock.sleep(wait, enough.signal).then(
      () => order,
      () => order,
    );
    const run = complete(order);
    // The run outlives a caller that stops waiting; the worker takes the order up again.
    run.catch((error: unknown) =>
      deps.log.warn({ operation: 'completeOrder', error }, 'order stays in processing'),
    );
    try {
      return await Promise.race([run, late]);
    } finally {
      enough.abort();
    }
  }

  return { complete, completeWithin };
}

async function runOnce(deps: CompleteOrderDeps, order: Order): Promise<Order> {
  const step = await submit(deps, order);
  const stored =
    step.to === 'processing'
      ? await deps.orders.step(order.orderId, step)
      : await durableStep(step.to === 'valid' ? 'enroll.order-valid' : 'enroll.order-invalid', () =>
          deps.orders.step(order.orderId, step),
        );
  return stored ?? (await deps.orders.find(order.orderId)) ?? order;
}

async function submit(deps: CompleteOrderDeps, order: Order): Promise<OrderStep> {
  try {
    return stepFor(deps, order, await deps.enrolment.submit(submissionOf(order)));
  } catch (error) {
    const failure = asGigvaultError(error);
    // Its time is also what ends an order that fails again and again.
    const hopeless = isFinal(failure) || order.expiresAt <= deps.clock.now();
    if (hopeless) return { from: 'processing', to: 'invalid', error: toErrorRecord(failure) };
    deps.log.warn({ operation: 'completeOrder', error }, 'enrolment failed for now');
    return resumeLater(deps, order);
  }
}

/** After a closed signing intent the CA signs anew, under another serial number. */
function isFinal(failure: GigvaultError): boolean {
  return !failure.row.retry && failure.code !== 'SIGNING_CLOSED';
}

function submissionOf(order: Order): SubmitRequestRequest {
  return {
    requestId: order.requestId,
    protocol: 'acme',
    requester: requesterOf(order.accountId),
    profile: order.profile,
    profileHash: order.profileHash,
    certificationRequest: order.certificationRequest ?? Buffer.alloc(0),
    authorizationIds: [...order.authorizationIds],
    subjectAltName: order.identifiers.map(({ type, value }) => ({ type, value })),
    notBefore: order.notBefore,
    notAfter: order.notAfter,
    reason: '',
    roles: [],
    tenantId: '',
  };
}

function stepFor(deps: CompleteOrderDeps, order: Order, request: EnrolmentRequest): OrderStep {
  switch (request.status) {
    case 'issued':
      return {
        from: 'processing',
        to: 'valid',
        serialNumber: request.serialNumber,
        issuerId: request.issuerId,
        certificate: request.certificate,
        chain: request.chain,
      };
    case 'rejected':
    case 'denied':
    case 'failed':
      return { from: 'processing', to: 'invalid', error: refusalOf(request) };
    default:
      return resumeLater(deps, order);
  }
}

function refusalOf(request: EnrolmentRequest): ErrorRecord {
  if (request.status === 'failed')
    return { code: request.errorCode, message: request.errorMessage };
  if (request.status === 'rejected')
    return { code: 'FORBIDDEN', message: 'The request was rejected by an approver.' };
  const reasons = (request.decision?.rules ?? [])
    .filter((rule) => rule.outcome === 'deny')
    .map((rule) => rule.message);
  return {
    code: 'POLICY_DENIED',
    message: reasons.join('; ') || 'Policy does not allow this certificate.',
  };
}

/** The longer an order has waited, the longer the pause. A client that asks does not wait for it. */
function resumeLater(deps: CompleteOrderDeps, order: Order): OrderStep {
  const now = deps.clock.now();
  const pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, (now - order.createdAt) / 20));
  return { from: 'processing', to: 'processing', resumeAt: Math.round(now + pause) };
}
