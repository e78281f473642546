import type { ErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, type ErrorRecord, toErrorRecord } from '@gigvault/errors/gigvault-error';
import type { EnrolmentRequest } from '@gigvault/proto/ra/v1/enrolment';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import { AWAKE, type Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { createSingleFlight } from '@gigvault/time/single-flight';
import { LONGEST_PAUSE, type Order, type OrderStep, type Orders } from '../ports/orders.ts';
import type { Enrolment } from '../ports/registration-authority.ts';
import { submissionOf } from './submission.ts';

/** What completing an order needs. */
export interface CompleteOrderDeps {
  readonly orders: Orders;
  readonly enrolment: Enrolment;
  readonly clock: Clock;
  /** Pauses go by what it believes: a clock that is set must not put an order off. */
  readonly clockGuard: ClockGuard;
  readonly log: Log;
}

/** Takes orders from `processing` to their end. */
export interface OrderCompletion {
  /**
   * Submits the order's request and keeps what comes of it: `valid`, `invalid`, or `processing` while people decide and
   * after any failure that is not the RA's own answer, for as long as it takes: the certificate may exist. Callers that ask for the same order at the same time share one run (T1).
   */
  complete(order: Order): Promise<Order>;
  /** As complete, but answers after `wait` milliseconds with the order as it is; the run goes on. */
  completeWithin(order: Order, wait: number): Promise<Order>;
}

const SHORTEST_PAUSE = 2_000;

/** Refusals with which the RA has kept nothing: no certificate will come of the request. */
const REFUSED_BY_RA: readonly ErrorCode[] = [
  'ALREADY_EXISTS',
  'BAD_CSR',
  'BAD_PUBLIC_KEY',
  'INVALID_ARGUMENT',
  'PROFILE_CHANGED',
  'REJECTED_IDENTIFIER',
  'UNAUTHORIZED_IDENTIFIER',
  'UNKNOWN_PROFILE',
];

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
      enough.abort(AWAKE);
    }
  }

  return { complete, completeWithin };
}

async function runOnce(deps: CompleteOrderDeps, order: Order): Promise<Order> {
  const step = await submit(deps, order);
  const stored =
    step.to === 'processing'
      ? await deps.orders.step(order, step)
      : await durableStep(step.to === 'valid' ? 'enroll.order-valid' : 'enroll.order-invalid', () =>
          deps.orders.step(order, step),
        );
  return stored ?? (await deps.orders.find(order.orderId)) ?? order;
}

async function submit(deps: CompleteOrderDeps, order: Order): Promise<OrderStep> {
  try {
    const submission = submissionOf(order, order.certificationRequest ?? Buffer.alloc(0));
    return stepFor(deps, order, await deps.enrolment.submit(submission));
  } catch (error) {
    const failure = asGigvaultError(error);
    // Anything else, refused access included, leaves open what the RA does with the request: it may be issuing already.
    if (REFUSED_BY_RA.includes(failure.code))
      return { from: 'processing', to: 'invalid', error: toErrorRecord(failure) };
    deps.log.warn({ operation: 'completeOrder', error }, 'enrolment failed for now');
    return resumeLater(deps, order);
  }
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
  const now = deps.clockGuard.believed();
  const pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, (now - order.createdAt) / 20));
  return { from: 'processing', to: 'processing', resumeAt: Math.round(now + pause) };
}
