import { isIPv6 } from 'node:net';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';

/** How many failures a client address has within a window of so many milliseconds. */
export interface FailureLimit {
  readonly failures: number;
  readonly window: number;
}

/** Lets a client address fail only so often. */
export interface FailureLimiter {
  /**
   * Runs one attempt. Attempts side by side that could together use up the failures that are left wait for one another, so that
   * no guess is too many and no honest one is refused for being early. Throws RATE_LIMITED, with the seconds until the next
   * attempt, when the address has used its failures up.
   */
  attempt<T>(clientIp: string, run: () => Promise<T>): Promise<T>;
}

interface Attempts {
  /** When they failed, Unix milliseconds, oldest first. */
  failures: number[];
  running: number;
  waiting: (() => void)[];
}

const MOST_ADDRESSES = 10_000;

/** A sliding window per client address (per /64 of IPv6), in memory. When it holds too many addresses, the oldest goes. */
export function createFailureLimiter(limit: FailureLimit, clock: Clock): FailureLimiter {
  const addresses = new Map<string, Attempts>();

  function attemptsOf(address: string): Attempts {
    const attempts = addresses.get(address) ?? { failures: [], running: 0, waiting: [] };
    addresses.delete(address);
    addresses.set(address, attempts);
    if (addresses.size > MOST_ADDRESSES) addresses.delete(addresses.keys().next().value as string);
    return attempts;
  }

  async function begin(attempts: Attempts): Promise<void> {
    for (;;) {
      refuseAfterTooMany(attempts);
      if (attempts.failures.length + attempts.running < limit.failures) break;
      await new Promise<void>((resolve) => attempts.waiting.push(resolve));
    }
    attempts.running += 1;
  }

  function refuseAfterTooMany(attempts: Attempts): void {
    const now = clock.now();
    attempts.failures = attempts.failures.filter((at) => at > now - limit.window);
    const [oldest] = attempts.failures;
    if (oldest === undefined || attempts.failures.length < limit.failures) return;
    const retryAfter = Math.ceil((oldest + limit.window - now) / 1000);
    throw new GigvaultError('RATE_LIMITED', 'Too many failed attempts from this address.', {
      retryAfter,
    });
  }

  function end(address: string, attempts: Attempts): void {
    attempts.running -= 1;
    const waiting = attempts.waiting.splice(0);
    for (const resolve of waiting) resolve();
    const idle = attempts.running + attempts.failures.length + waiting.length === 0;
    if (idle && addresses.get(address) === attempts) addresses.delete(address);
  }

  return {
    async attempt(clientIp, run) {
      const address = networkOf(clientIp);
      const attempts = attemptsOf(address);
      await begin(attempts);
      try {
        return await run();
      } catch (error) {
        // Only a refused credential counts: an outage of ours must not lock people out.
        if (error instanceof GigvaultError && error.code === 'UNAUTHENTICATED')
          attempts.failures.push(clock.now());
        throw error;
      } finally {
        end(address, attempts);
      }
    },
  };
}

function networkOf(clientIp: string): string {
  return isIPv6(clientIp) && !clientIp.includes('.') ? ipv6Network(clientIp) : clientIp;
}

function ipv6Network(address: string): string {
  const [head = '', tail = ''] = address.split('::');
  const left = head.split(':').filter(Boolean);
  const right = tail.split(':').filter(Boolean);
  const zeros = address.includes('::')
    ? Array<string>(8 - left.length - right.length).fill('0')
    : [];
  return [...left, ...zeros, ...right].slice(0, 4).join(':');
}
