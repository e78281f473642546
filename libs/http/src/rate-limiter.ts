import { BlockList } from 'node:net';
import type { Clock } from '@gigvault/time/clock';

/** How often one client may ask. */
export interface RateLimit {
  /** Requests per second that go on for ever; 0 is no limit. */
  readonly requestsPerSecond: number;
  /** Requests at once after a pause. */
  readonly burst: number;
}

/** What is left after a request. */
export interface RateDecision {
  readonly allowed: boolean;
  /** Whole requests left. */
  readonly remaining: number;
  /** Seconds until a refused client may ask again; 0 when it was allowed. */
  readonly retryAfter: number;
  /** Seconds until all of the burst is there again. */
  readonly reset: number;
}

/** Counts requests of clients. In this process only: two processes allow twice as much. */
export interface RateLimiter {
  take(client: string): RateDecision;
}

/** Clients remembered at one time; beyond it the one that was silent longest is forgotten. */
const MAX_CLIENTS = 50_000;

/** A token bucket for each client. */
export function createRateLimiter(limit: RateLimit, clock: Clock): RateLimiter {
  const { requestsPerSecond: rate, burst } = limit;
  // In order of last use: an entry that is touched moves to the end.
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(client) {
      const now = clock.now();
      const bucket = buckets.get(client) ?? { tokens: burst, at: now };
      // A clock that went backwards gives nothing and takes nothing.
      const elapsed = Math.max(0, now - bucket.at) / 1000;
      const before = Math.min(burst, bucket.tokens + elapsed * rate);
      const allowed = before >= 1;
      const tokens = allowed ? before - 1 : before;
      buckets.delete(client);
      buckets.set(client, { tokens, at: now });
      const [oldest] = buckets.keys();
      if (buckets.size > MAX_CLIENTS && oldest !== undefined) buckets.delete(oldest);
      return {
        allowed,
        remaining: Math.floor(tokens),
        retryAfter: allowed ? 0 : (1 - tokens) / rate,
        reset: (burst - tokens) / rate,
      };
    },
  };
}

const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

/** Who counts as one client: an IPv4 address, or the /64 of an IPv6 address, which is what one subscriber gets. */
export function clientKey(address: string): string {
  if (!address.includes(':')) return address;
  const plain = address.split('%', 1)[0] as string;
  if (mapped.check(plain, 'ipv6')) return plain.slice(plain.lastIndexOf(':') + 1);
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
