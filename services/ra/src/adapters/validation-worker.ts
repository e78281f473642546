import type { Log } from '@gigvault/telemetry/log';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { ClaimedChallenge } from '../ports/validation-queue.ts';
import { type ValidateDeps, validateChallenge } from '../validation/validate-challenge.ts';

/** How long a claim lasts beyond the validation's own timeout, in milliseconds. */
const LEASE_MARGIN = 5000;
/** Looks for due challenges this often, in milliseconds, when nobody wakes it. */
const INTERVAL = 500;

/** What the worker needs. */
export interface ValidationWorkerOptions extends ValidateDeps {
  readonly log: Log;
  /** Validations at one time. */
  readonly concurrency: number;
}

/** Validates challenges as they become due, several at a time. Stopping breaks off those in flight; their leases bring them back. */
export function validationWorker(options: ValidationWorkerOptions): Worker & { wake(): void } {
  const { queue, clock, log, concurrency, timeout } = options;
  const stopping = new AbortController();
  const inFlight = new Set<Promise<void>>();

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
    }
  }

  const loop = periodic({
    name: 'ra.validation',
    clock,
    interval: INTERVAL,
    async round() {
      const free = concurrency - inFlight.size;
      if (free <= 0) return;
      const now = clock.now();
      for (const challenge of await queue.claim(free, now, now + timeout + LEASE_MARGIN)) {
        const task = run(challenge).finally(() => {
          inFlight.delete(task);
          loop.wake();
        });
        inFlight.add(task);
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
      await Promise.all(inFlight);
    },
    wake: loop.wake,
  };
}
