import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { OrderSweep } from '../ports/orders.ts';
import type { OrderCompletion } from './complete-order.ts';

/** What resuming needs. */
export interface ResumeOrdersDeps {
  readonly sweep: OrderSweep;
  readonly completion: OrderCompletion;
  /** Pauses and leases go by what it believes. */
  readonly clockGuard: ClockGuard;
}

const BATCH = 32;
const MANY = 1_000;
const LEASE = 60_000;

/**
 * Takes up orders that stayed in processing: their process died, the way to the CA was closed, or people were to decide (T5).
 *
 * @param after `start`: leases of the process before this one count for nothing. Submitting twice is harmless.
 * @returns how many it took up; call again until 0.
 */
export async function resumeOrders(
  deps: ResumeOrdersDeps,
  after: 'start' | 'pause',
): Promise<number> {
  const now = deps.clockGuard.believed();
  if (after === 'start') await deps.sweep.claimProcessing(now + LEASE, now, MANY);
  const orders = await deps.sweep.claimProcessing(now, now + LEASE, BATCH);
  const results = await Promise.allSettled(orders.map((order) => deps.completion.complete(order)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return orders.length;
}
