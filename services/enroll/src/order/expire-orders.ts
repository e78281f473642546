import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { OrderSweep, Orders } from '../ports/orders.ts';
import { expiry } from './read-order.ts';

/** What the reaper needs. */
export interface ExpireOrdersDeps {
  readonly orders: Orders;
  readonly sweep: OrderSweep;
  /** A ClockGuard, where the clock may be set: an order ends once. */
  readonly clock: Pick<Clock, 'now'>;
  /** Milliseconds that finished orders are kept after they expired. */
  readonly retention: number;
}

const BATCH = 200;

/** Ends orders that nobody finished in time, and forgets those that ended long ago. Returns how many it touched; call again until 0. */
export async function expireOrders(deps: ExpireOrdersDeps): Promise<number> {
  const now = deps.clock.now();
  const expired = await deps.sweep.findExpired(now, BATCH);
  for (const order of expired)
    await durableStep('enroll.order-invalid', () => deps.orders.step(order, expiry(order)));
  return expired.length + (await deps.sweep.purge(now - deps.retention, BATCH));
}
