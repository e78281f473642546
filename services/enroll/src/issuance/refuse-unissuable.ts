import type { ErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, toErrorRecord } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Order, Orders } from '../ports/orders.ts';
import type { RateLimits } from '../ports/rate-limits.ts';
import type { Enrolment } from '../ports/registration-authority.ts';
import { submissionOf } from './submission.ts';

/** What refusing needs. */
export interface RefuseUnissuableDeps {
  readonly enrolment: Enrolment;
  readonly orders: Orders;
  readonly limits: RateLimits;
  readonly log: Log;
}

/** What the client can mend, as by another certification request. Of anything else the submission has to make the best. */
const MENDABLE: readonly ErrorCode[] = [
  'BAD_CSR',
  'BAD_PUBLIC_KEY',
  'INVALID_ARGUMENT',
  'LINT_FAILED',
  'POLICY_DENIED',
  'REJECTED_IDENTIFIER',
  'UNAUTHORIZED_IDENTIFIER',
];

/**
 * Has RA, policy and CA look at a certification request while the order is still ready, so that it stays ready when they
 * refuse (RFC 8555 §7.4). A refusal is written down. When they cannot be asked, the submission will show.
 * Errors: those of MENDABLE; RATE_LIMITED when the account was refused too often.
 */
export async function refuseUnissuable(
  deps: RefuseUnissuableDeps,
  order: Order,
  certificationRequest: Buffer,
): Promise<void> {
  try {
    await deps.enrolment.check(submissionOf(order, certificationRequest));
  } catch (error) {
    const refusal = asGigvaultError(error);
    if (!MENDABLE.includes(refusal.code)) {
      deps.log.warn({ operation: 'checkRequest', error }, 'not checked before it is submitted');
      return;
    }
    deps.limits.change(order.accountId);
    await durableStep('enroll.refuse', () =>
      deps.orders.step(order, {
        from: 'ready',
        to: 'ready',
        refused: certificationRequest,
        error: toErrorRecord(refusal),
      }),
    );
    throw refusal;
  }
}
