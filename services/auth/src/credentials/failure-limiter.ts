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
   * Runs one attempt. It counts as a failure from the start until it succeeds, so that attempts side by side count too.
   * Throws RATE_LIMITED, with the seconds until the next attempt, when the address has used its failures up.
   */
  attempt<T>(clientIp: string, run: () => Promise<T>): Promise<T>;
}

const MOST_ADDRESSES = 10_000;

/** A sliding window per client address (per /64 of IPv6), in memory. When it holds too many addresses, the oldest goes. */
export function createFailureLimiter(limit: FailureLimit, clock: Clock): FailureLimiter {
  const failures = new Map<string, number[]>();

  function begin(address: string): number {
    const now = clock.now();
    const recent = (failures.get(address) ?? []).filter((at) => at > now - limit.window);
    if (recent.length >= limit.failures) {
      const retryAfter = Math.ceil(((recent[0] ?? now) + limit.window - now) / 1000);
      throw new GigvaultError('RATE_LIMITED', 'Too many failed attempts from this address.', {
        retryAfter,
      });
    }
    failures.delete(address);
    failures.set(address, [...recent, now]);
    if (failures.size > MOST_ADDRESSES) failures.delete(failures.keys().next().value as string);
    return now;
  }

  function forgive(address: string, at: number): void {
    const left = failures.get(address) ?? [];
    const index = left.indexOf(at);
    if (index >= 0) left.splice(index, 1);
    if (left.length === 0) failures.delete(address);
  }

  return {
    async attempt(clientIp, run) {
      const address = networkOf(clientIp);
      const at = begin(address);
      try {
        const result = await run();
        forgive(address, at);
        return result;
      } catch (error) {
        // Only a refused credential counts: an outage of ours must not lock people out.
        if (!(error instanceof GigvaultError) || error.code !== 'UNAUTHENTICATED')
          forgive(address, at);
        throw error;
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
