import { EventEmitter } from 'node:events';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { TOLERANCE } from '@gigvault/time/clock-guard';
import { nap } from '@gigvault/time/nap';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { ClaimedChallenge } from '../ports/validation-queue.ts';
import {
  longestPause,
  type ValidateDeps,
  validateChallenge,
} from '../validation/validate-challenge.ts';

/** How long a claim lasts, milliseconds: short, since that is what a validation waits for whose process died. It is renewed. */
const LEASE = 4_000;
/** Looks for due challenges this often, in milliseconds, when nobody wakes it. */
const INTERVAL = 500;

/** What the worker needs. */
export interface ValidationWorkerOptions extends ValidateDeps {
  readonly log: Log;
  /** Validations at one time; one requester has at most a quarter of them. */
  readonly concurrency: number;
  /** How long a claim lasts that is not renewed, milliseconds. Default 4,000. */
  readonly lease?: number;
}

/** What else the worker can do. */
export interface Validator extends Worker {
  /** Looks for due challenges now. */
  wake(): void;
  /** Wakes it, and resolves when an attempt at this challenge has ended in this process, or after `limit` milliseconds. */
  attempted(challengeId: string, limit: number): Promise<void>;
}

/** Validates challenges as they become due, several at a time. Stopping breaks off those in flight; the end of their leases brings them back. */
export function validationWorker(options: ValidationWorkerOptions): Validator {
  const { queue, clock, clockGuard, log, concurrency, lease = LEASE } = options;
  const stopping = new AbortController();
  const each = Math.ceil(concurrency / 4);
  const inFlight = new Map<Promise<void>, ClaimedChallenge>();
  const leases = keptLeases(options, lease);
  /** Emits the id of each challenge whose attempt has ended. */
  const attempts = new EventEmitter().setMaxListeners(0);

  async function run(challenge: ClaimedChallenge): Promise<void> {
    const fields = {
      authorization: challenge.authorizationId,
      name: challenge.identifier.value,
      attempt: challenge.attempt,
    };
    try {
      await validateChallenge(options, challenge, stopping.signal);
      log.info(fields, 'validation attempted');
    } catch (error) {
      if (!stopping.signal.aborted) log.error({ ...fields, error }, 'validation broke off');
    } finally {
      attempts.emit(challenge.challengeId);
    }
  }

  const loop = periodic({
    name: 'ra.validation',
    clock,
    interval: INTERVAL,
    async round() {
      const free = concurrency - inFlight.size;
      if (free <= 0) return;
      const now = clockGuard.believed();
      await leases.recall(now);
      const share = { each, inFlight: countByRequester(inFlight.values()) };
      const claimed = await queue.claim(free, now, now + lease, share);
      for (const challenge of claimed) {
        const { challengeId } = challenge;
        leases.take(challengeId, now + lease);
        const task = run(challenge).finally(() => {
          inFlight.delete(task);
          leases.drop(challengeId);
          loop.wake();
        });
        inFlight.set(task, challenge);
      }
    },
    onError: (error) => log.error({ error }, 'validation queue cannot be read'),
  });

  return {
    name: loop.name,
    async start() {
      await leases.start();
      await loop.start();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await loop.stop();
      await Promise.all(inFlight.keys());
      await leases.stop();
    },
    wake: loop.wake,
    attempted(challengeId, limit) {
      const ended = emitted(attempts, challengeId, clock, limit);
      loop.wake();
      return ended;
    },
  };
}

/** Recalls, once, what is due further ahead than by any clock that is as right as this one. */
function createRecall(options: ValidationWorkerOptions, lease: number) {
  const latest = TOLERANCE + Math.max(lease, longestPause(options));
  let recalled = false;
  return async (now: number): Promise<void> => {
    if (!recalled) await options.queue.recall(now, now + latest);
    recalled = true;
  };
}

function countByRequester(challenges: Iterable<ClaimedChallenge>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { requester } of challenges) counts.set(requester, (counts.get(requester) ?? 0) + 1);
  return counts;
}

/** Resolves with the event, or after so many milliseconds. */
function emitted(emitter: EventEmitter, event: string, clock: Clock, limit: number): Promise<void> {
  return nap(clock, limit, (end) => {
    emitter.once(event, end);
    return () => emitter.off(event, end);
  });
}

/**
 * The leases of what is in flight here. They are renewed at a pace of their own, and after a failure as soon as ever: an outage of the
 * database that is shorter than a lease costs none.
 */
function keptLeases(options: ValidationWorkerOptions, lease: number) {
  const { queue, clock, clockGuard, log } = options;
  /** Their ends, by the challenge's id. */
  const ends = new Map<string, number>();
  const failures = failureLog(log, 'leases are not renewed', 'leases are renewed again');

  async function renew(): Promise<void> {
    const now = clockGuard.believed();
    // In the first quarter of their time they are not touched.
    const held = [...ends]
      .filter(([, until]) => until - now < lease * 0.75)
      .map(([challengeId, until]) => ({ challengeId, until }));
    if (held.length === 0) return;
    await queue.renew(held, now + lease);
    for (const { challengeId, until } of held)
      if (ends.get(challengeId) === until) ends.set(challengeId, now + lease);
    failures.worked();
  }

  const worker = periodic({
    name: 'ra.validation-leases',
    clock,
    interval: lease / 8,
    // Never fails: periodic waits longer after each failure.
    round: () => renew().catch((error) => failures.failed('warn', error)),
    onError: (error) => failures.failed('error', error),
  });
  return {
    start: worker.start,
    stop: worker.stop,
    recall: createRecall(options, lease),
    take: (challengeId: string, until: number) => void ends.set(challengeId, until),
    drop: (challengeId: string) => void ends.delete(challengeId),
  };
}
