import type { EventLog } from '@gigvault/database/event-log';
import { type Refusal, refusalLog, refusalWriter } from '@gigvault/database/refusal-log';
import { transaction } from '@gigvault/database/transaction';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import type { KeyEvent } from '../ports/key-event.ts';
import { actorOf, type KeyUsage, type KeyUse } from '../ports/key-usage.ts';
import type { Breaker } from './circuit-breaker.ts';

const INTERVAL = 1_000;

/** What it works with. */
export interface KeyUsageOptions {
  readonly pool: Pool;
  readonly eventLog: EventLog;
  /** For what requests wait for. What is written later tries by itself, and keeps nobody waiting. */
  readonly breaker: Breaker;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Uses become events: counts once a second and when the worker stops, refusals at once, and those that are alike with their number after a minute. What is
 * counted and not yet written dies with the process: uses of one second at most, and how often the last minute's refusals were repeated.
 */
export function pgKeyUsage(options: KeyUsageOptions): KeyUsage & { readonly worker: Worker } {
  const { pool, eventLog, breaker, clock, log } = options;
  let counts = new Map<string, { readonly use: KeyUse; count: number }>();

  const append = (events: readonly KeyEvent[]) =>
    durableStep('keymgr.usage', () =>
      transaction(pool, (client) => eventLog.append(client, events)),
    );

  const events = { name: 'keymgr.refused', append, eventOf: refusedEvent };
  const { now, later } = refusalWriter<KeyEvent>(events);
  // Inside: a repetition is counted in memory, and says nothing about the database.
  const refusals = refusalLog({ now: (first) => breaker.run(() => now(first)), later }, clock);

  function used(use: KeyUse, count = 1): void {
    const id = `${use.keyId}/${use.purpose}/${use.caller}`;
    const known = counts.get(id);
    if (known === undefined) counts.set(id, { use, count });
    else known.count += count;
  }

  async function flushUses(): Promise<void> {
    if (counts.size === 0) return;
    const taken = [...counts.values()];
    counts = new Map();
    try {
      await append(taken.map(({ use, count }) => usedEvent(use, count)));
    } catch (error) {
      for (const { use, count } of taken) used(use, count);
      throw error;
    }
  }

  async function flush(all = false): Promise<void> {
    await flushUses();
    await refusals.flush(all);
  }

  const rounds = periodic({
    name: 'keymgr.usage',
    clock,
    interval: INTERVAL,
    round: () => flush(),
    onError: (error) =>
      log.error({ error, operation: 'keymgr.usage' }, 'uses of keys wait to be written'),
  });

  return {
    used: (use) => used(use),
    refused: ({ keyId: subject, purpose: operation, caller }, reason) =>
      refusals.refused({ caller, subject, operation, reason }),
    worker: {
      name: rounds.name,
      start: () => rounds.start(),
      async stop() {
        await rounds.stop();
        await flush(true);
      },
    },
  };
}

function usedEvent({ keyId, purpose, caller }: KeyUse, count: number): KeyEvent {
  return {
    type: 'key.used',
    actor: actorOf(caller),
    subject: keyId,
    data: { purpose, caller, count },
  };
}

/** See RefusalEvents. */
function refusedEvent(refusal: Refusal, count?: number): KeyEvent {
  const { caller, subject, operation: purpose, reason } = refusal;
  return {
    type: 'key.refused',
    actor: actorOf(caller),
    subject,
    data: { purpose, caller, reason, ...(count === undefined ? {} : { count }) },
  };
}
