import { EventEmitter } from 'node:events';
import type { Log } from '@gigvault/telemetry/log';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { ClaimedChallenge } from '../ports/validation-queue.ts';
import { type ValidateDeps, validateChallenge } from '../validation/validate-challenge.ts';

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
  const { queue, clock, log, concurrency, lease = LEASE } = options;
  const stopping = new AbortController();
  const each = Math.ceil(concurrency / 4);
  const inFlight = new Map<Promise<void>, ClaimedChallenge>();
  /** Ends of the leases, by the challenge's id. */
  const leases = new Map<string, number>();
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

  async function renewLeases(): Promise<void> {
    const now = clock.now();
    // In the first quarter of their time they are not touched.
    const held = [...leases]
      .filter(([, until]) => until - now < lease * 0.75)
      .map(([challengeId, until]) => ({ challengeId, until }));
    if (held.length === 0) return;
    await queue.renew(held, now + lease);
    for (const { challengeId, until } of held)
      if (leases.get(challengeId) === until) leases.set(challengeId, now + lease);
  }

  const loop = periodic({
    name: 'ra.validation',
    clock,
    interval: INTERVAL,
    async round() {
      await renewLeases();
      const free = concurrency - inFlight.size;
      if (free <= 0) return;
      const now = clock.now();
      const share = {
        each,
        inFlight: countEach([...inFlight.values()].map(({ requester }) => requester)),
      };
      const claimed = await queue.claim(free, now, now + lease, share);
      for (const challenge of claimed) {
        const { challengeId } = challenge;
        leases.set(challengeId, now + lease);
        const task = run(challenge).finally(() => {
          inFlight.delete(task);
          leases.delete(challengeId);
          loop.wake();
        });
        inFlight.set(task, challenge);
      }
    },
    onError: (error) => log.error({ error }, 'validation queue cannot be read'),
  });

  return {
    name: loop.name,
    start: loop.start,
    async stop() {
      stopping.abort(new Error('stopping'));
      await loop.stop();
      await Promise.all(inFlight.keys());
    },
    wake: loop.wake,
    attempted(challengeId, limit) {
      return new Promise((resolve) => {
        const timer = new AbortController();
        const done = () => {
          timer.abort();
          attempts.off(challengeId, done);
          resolve();
        };
        attempts.once(challengeId, done);
        clock.sleep(limit, timer.signal).then(done, () => undefined);
        loop.wake();
      });
    },
  };
}

function countEach(names: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
