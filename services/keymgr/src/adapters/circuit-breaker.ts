import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import CircuitBreaker from 'opossum';

/** Milliseconds that failures are counted in, and until one call tries again. */
const WINDOW = 2_000;
const PAUSE = 500;
/** Calls in the window below which nothing is said about the database. */
const ENOUGH = 5;
const HALF = 50;

/** Keeps calls away from what does not answer. */
export interface Breaker {
  run<T>(call: () => Promise<T>): Promise<T>;
  /** Ends its timers. */
  close(): void;
}

/**
 * Opens when more than half of the calls of two seconds, of at least five, find the database unreachable. Then calls are refused at once for half a second instead of
 * waiting for a connection each, and one tries again. Its pauses are not by the time of day: a clock that is set back keeps nothing shut.
 * Errors of `run`: those of the call; UNAVAILABLE while it is open.
 */
export function circuitBreaker(log: Log): Breaker {
  const breaker = new CircuitBreaker((call: () => Promise<unknown>) => call(), {
    timeout: false,
    rollingCountTimeout: WINDOW,
    rollingCountBuckets: 4,
    rollingPercentilesEnabled: false,
    volumeThreshold: ENOUGH,
    errorThresholdPercentage: HALF,
    resetTimeout: PAUSE,
    // What is refused for a reason of its own says nothing about the database.
    errorFilter: (error) => !isUnreachable(error),
  });
  let last: unknown;
  breaker.on('failure', (error) => {
    last = error;
  });
  breaker.on('open', () =>
    log.warn({ error: last, operation: 'circuit-breaker' }, 'database is not asked'),
  );
  breaker.on('close', () => log.info({ operation: 'circuit-breaker' }, 'database is asked again'));
  return {
    async run<T>(call: () => Promise<T>) {
      try {
        return (await breaker.fire(call)) as T;
      } catch (error) {
        throw CircuitBreaker.isOurError(error as Error) ? notAsked() : error;
      }
    },
    close: () => breaker.shutdown(),
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

/** A server whose disk is full, or that takes no writes now, answers; what is read is still right. */
const ANSWERS: ReadonlySet<unknown> = new Set(['53100', '25006']);

function isUnreachable(error: unknown): boolean {
  const { code, cause } = asGigvaultError(error);
  return code === 'UNAVAILABLE' && !ANSWERS.has((cause as { code?: unknown } | undefined)?.code);
}

function notAsked(): GigvaultError {
  return new GigvaultError('UNAVAILABLE', 'The database cannot be reached.', { retryAfter: 1 });
}
