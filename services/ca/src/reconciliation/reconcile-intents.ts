import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { TOLERANCE } from '@gigvault/time/clock-guard';
import { flightOf } from '../issuance/flight.ts';
import type { Intent } from '../ports/intent-store.ts';
import { type SettleDeps, settleIntent } from './settle-intent.ts';

/** What the reconciler needs. */
export interface ReconcileDeps extends SettleDeps {
  /** Requests that this process works on now; their intents are left alone. */
  readonly flights: { has(flight: string): boolean };
  readonly clock: Clock;
  /** Milliseconds from its opening for which an intent is left alone that another process opened, which lives. */
  readonly heldIntentGrace: number;
  /** Intents that are read at a time. Default 500. */
  readonly pageSize?: number;
  readonly log: Log;
}

/** What one round did. */
export interface ReconcileReport {
  readonly finished: number;
  readonly abandoned: number;
  readonly failed: number;
}

/**
 * Settles every open intent that is at least `age` milliseconds old, and older where another process works on it. One that cannot be settled does not stop the others;
 * a keymgr or database that is away does, and so does `stopping`. Errors: UNAVAILABLE, KEY_UNAVAILABLE, DEADLINE_EXCEEDED.
 */
export async function reconcileIntents(
  deps: ReconcileDeps,
  age: number,
  stopping?: AbortSignal,
): Promise<ReconcileReport> {
  const report = { finished: 0, abandoned: 0, failed: 0 };
  for await (const intent of openIntents(deps, age)) {
    if (stopping?.aborted) break;
    if (!deps.flights.has(flightOf(intent))) report[await settle(deps, intent)] += 1;
  }
  return report;
}

/** Page by page: those that stay open must not hide those behind them. */
async function* openIntents(deps: ReconcileDeps, age: number): AsyncGenerator<Intent> {
  const { pageSize = 500 } = deps;
  const now = deps.clock.now();
  const ages = {
    createdBefore: now - age,
    // A process whose clock was ahead left them behind.
    createdAfter: now + TOLERANCE,
    heldBefore: now - Math.max(age, deps.heldIntentGrace),
  };
  let page: readonly Intent[] = [];
  do {
    page = await deps.intents.listOpen(ages, page.at(-1), pageSize);
    yield* page;
  } while (page.length === pageSize);
}

async function settle(deps: ReconcileDeps, intent: Intent): Promise<keyof ReconcileReport> {
  const about = { serial: intent.serialNumber, ca: intent.issuerId, request_id: intent.requestId };
  try {
    const outcome = (await settleIntent(deps, intent)) ? 'finished' : 'abandoned';
    deps.log.info({ ...about, outcome }, 'an open intent was settled');
    return outcome;
  } catch (error) {
    if (asGigvaultError(error).row.retry && asGigvaultError(error).code !== 'INTERNAL') throw error;
    deps.log.error({ ...about, error }, 'an open intent cannot be settled');
    return 'failed';
  }
}
