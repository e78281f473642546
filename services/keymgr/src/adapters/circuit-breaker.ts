import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import {
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker as circuitOf,
  handleWhenResult,
  type IBackoff,
  isBrokenCircuitError,
} from 'cockatiel';

/** Calls in a row. By number and not by time: a call to a database that hangs fails after the seconds that a connection may take. */
const FAILURES = 3;
/** Milliseconds until one call tries again. */
const PAUSE = 500;

/** Keeps calls away from what does not answer. */
export interface Breaker {
  run<T>(call: () => Promise<T>): Promise<T>;
}

/** What became of a call, and whether that speaks against the database. */
interface Outcome {
  readonly settled: PromiseSettledResult<unknown>;
  readonly failed: boolean;
}

/**
 * Opens when three calls in a row find the database unreachable. Then calls are refused at once instead of waiting for a connection each, and half a second later one
 * tries again; while it tries the others are still refused. It closes when the one is answered.
 * Errors of `run`: those of the call; UNAVAILABLE while it is open.
 */
export function circuitBreaker(log: Log, clock: Pick<Clock, 'elapsed'>): Breaker {
  const circuit = circuitOf(
    handleWhenResult((outcome) => (outcome as Outcome).failed),
    { halfOpenAfter: pauseBy(clock), breaker: new ConsecutiveBreaker(FAILURES) },
  );
  let last: unknown;
  circuit.onBreak(() =>
    log.warn({ error: last, operation: 'circuit-breaker' }, 'database is not asked'),
  );
  circuit.onReset(() => log.info({ operation: 'circuit-breaker' }, 'database is asked again'));

  async function attempt(call: () => Promise<unknown>, tries: boolean): Promise<Outcome> {
    const [settled] = await Promise.allSettled([call()]);
    if (settled.status === 'fulfilled' || !isUnreachable(settled.reason))
      return { settled, failed: false };
    last = settled.reason;
    // One that was asked before it opened, and fails only now, does not end the trial of another.
    return { settled, failed: tries || circuit.state === CircuitState.Closed };
  }

  return {
    async run<T>(call: () => Promise<T>) {
      // Left to itself the library lets them wait for the trial, which takes seconds where the database hangs.
      if (circuit.state === CircuitState.HalfOpen) throw notAsked();
      const tries = circuit.state !== CircuitState.Closed;
      const { settled } = await circuit
        .execute(() => attempt(call, tries))
        .catch((error) => Promise.reject(isBrokenCircuitError(error) ? notAsked() : error));
      if (settled.status === 'rejected') throw settled.reason;
      return settled.value as T;
    },
  };
}

/** The port with each of its calls under the breaker. */
export function underBreaker<P extends object>(port: P, breaker: Breaker): P {
  const guarded = Object.entries(port).map(([name, method]) => [
    name,
    (...args: unknown[]) => breaker.run(() => method(...args)),
  ]);
  return Object.fromEntries(guarded) as P;
}

/** The library counts a pause by the time of day. This one is over or is not, whatever that says: a clock that is set back keeps nothing shut. */
function pauseBy(clock: Pick<Clock, 'elapsed'>) {
  const next = (): IBackoff<unknown> => {
    const since = clock.elapsed();
    return {
      next,
      get duration() {
        const isOver = clock.elapsed() - since >= PAUSE;
        return isOver ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
      },
    };
  };
  return { next };
}

/** A server whose disk is full, or that takes no writes now, answers; what is read is still right. */
const ANSWERS: ReadonlySet<unknown> = new Set(['53100', '25006']);

/** A queue of ours that is full has no cause, and says nothing about the database. */
function isUnreachable(error: unknown): boolean {
  const { code, cause } = asGigvaultError(error);
  return (
    code === 'UNAVAILABLE' &&
    cause !== undefined &&
    !ANSWERS.has((cause as { code?: unknown }).code)
  );
}

function notAsked(): GigvaultError {
  return new GigvaultError('UNAVAILABLE', 'The database cannot be reached.', { retryAfter: 1 });
}
