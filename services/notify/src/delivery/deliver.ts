import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import type { Delivery, DeliveryQueue } from '../ports/delivery-queue.ts';
import type { WebhookSender } from '../ports/webhook-sender.ts';
import { CLOUD_EVENT } from './message.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** How long to wait after each attempt that failed; after the last one it is given up: a day and four hours in all. */
export const WAITS: readonly number[] = [
  5 * SECOND,
  30 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  10 * HOUR,
];

/** No attempt is further ahead, ms. */
export const LONGEST_WAIT = Math.max(...WAITS);

/** Deliveries at one time to one webhook. */
const TOGETHER = 8;
/** Longer than an attempt takes: what is claimed by a process that dies has its turn again after it, ms. */
const LEASE = MINUTE;
/** The most that a receiver can ask for, ms. */
const LONGEST_ASKED = HOUR;
const GONE = 410;

/** What delivering to one webhook needs. */
export interface DeliverDeps {
  readonly name: string;
  readonly url: URL;
  readonly queue: DeliveryQueue;
  readonly sender: WebhookSender;
  /** The value of `webhook-signature` (Standard Webhooks). */
  sign(deliveryId: string, at: Date, body: string): string;
  readonly clock: Clock;
  readonly log: Log;
  onResult(result: 'ok' | 'retry' | 'given-up' | 'unwanted'): void;
}

/**
 * Sends what has its turn, until nothing has. Each arrives once or more often, with the same id; the order is not kept. Never rejects for what the other
 * side does: what fails is tried again later, nine times, and then given up (T18).
 */
export async function deliverDue(deps: DeliverDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const due = await deps.queue.claim(TOGETHER, LEASE);
    // All of them end before the round does: whoever stops waits for the round.
    const ends = await Promise.allSettled(due.map((delivery) => deliver(deps, delivery, signal)));
    const failed = ends.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
    if (due.length < TOGETHER) return;
  }
}

async function deliver(deps: DeliverDeps, delivery: Delivery, signal: AbortSignal): Promise<void> {
  const { deliveryId, attempt } = delivery;
  const outcome = await attemptOf(deps, delivery, signal);
  if (signal.aborted && outcome !== undefined) return;
  if (outcome === undefined) {
    await deps.queue.forget(deliveryId);
    deps.onResult('ok');
    return;
  }
  const { failure, wait, isUnwanted } = outcome;
  const dueAt = wait === undefined ? undefined : deps.clock.now() + wait;
  if (isUnwanted) await deps.queue.forget(deliveryId);
  else await deps.queue.failed(delivery, failure, dueAt);
  deps.onResult(isUnwanted ? 'unwanted' : dueAt === undefined ? 'given-up' : 'retry');
  const about = { operation: 'webhook', webhook: deps.name, delivery_id: deliveryId, attempt };
  if (dueAt === undefined)
    deps.log.error({ ...about, reason: failure }, 'a notification was given up');
  else deps.log.warn({ ...about, reason: failure }, 'a notification has not arrived');
}

interface Failure {
  /** In words. */
  readonly failure: string;
  /** Milliseconds until the next attempt; undefined: there is none. */
  readonly wait: number | undefined;
  /** 410: nobody ever wants it (RFC 9110 §15.5.11). */
  readonly isUnwanted?: true;
}

/** Undefined when it has arrived. */
async function attemptOf(
  deps: DeliverDeps,
  { deliveryId, body, attempt }: Delivery,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const at = new Date(deps.clock.now());
  const headers = {
    'content-type': CLOUD_EVENT,
    'webhook-id': deliveryId,
    'webhook-timestamp': `${Math.floor(at.getTime() / SECOND)}`,
    'webhook-signature': deps.sign(deliveryId, at, body),
  };
  const usual = WAITS[attempt - 1];
  try {
    const { status, retryAfter = 0 } = await deps.sender.post(deps.url, headers, body, signal);
    if (status >= 200 && status < 300) return undefined;
    const asked = Math.min(retryAfter * SECOND, LONGEST_ASKED);
    const failure = `it answered ${status}`;
    if (status === GONE) return { failure, wait: undefined, isUnwanted: true };
    return { failure, wait: usual && Math.max(usual, asked) };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error), wait: usual };
  }
}
