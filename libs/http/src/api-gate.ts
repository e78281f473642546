import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { networkList } from './network-list.ts';
import { clientKey, createRateLimiter, type RateLimit } from './rate-limiter.ts';

/** Who may use the management API, and how often (requirement C53). ACME has caps of its own; OCSP and CRLs have none. */
export interface ApiAccess {
  /** Networks that may; empty is everyone. */
  readonly allowedNetworks: readonly string[];
  readonly rateLimit: RateLimit;
}

/** What holds when nothing is said: everyone, 100 requests a second for each client address. */
export const DEFAULT_API_ACCESS: ApiAccess = {
  allowedNetworks: [],
  rateLimit: { requestsPerSecond: 100, burst: 200 },
};

/** What the gate says of a request that may pass: headers for the answer (draft-ietf-httpapi-ratelimit-headers-10). */
export type RateLimitHeaders = Readonly<Record<string, string>>;

/**
 * Judges a client's address before its request is read. Returns headers for the answer, refused or not, by `note`.
 * Errors: FORBIDDEN for an address that is not allowed; RATE_LIMITED with the time to wait.
 */
export type ApiGate = (address: string, note: (headers: RateLimitHeaders) => void) => void;

/** A gate with its own counters. */
export function createApiGate(access: ApiAccess, clock: Clock): ApiGate {
  const { allowedNetworks, rateLimit } = access;
  const allowed = networkList(allowedNetworks);
  const limiter = createRateLimiter(rateLimit, clock);
  const { requestsPerSecond, burst } = rateLimit;
  const policy = `"client";q=${burst};w=${Math.ceil(burst / requestsPerSecond)}`;
  return (address, note) => {
    if (allowedNetworks.length > 0 && !allowed.contains(address))
      throw new GigvaultError('FORBIDDEN', 'The API does not serve your network.');
    if (requestsPerSecond === 0) return;
    const decision = limiter.take(clientKey(address));
    note({
      'ratelimit-policy': policy,
      ratelimit: `"client";r=${decision.remaining};t=${Math.ceil(decision.reset)}`,
    });
    if (!decision.allowed)
      throw new GigvaultError('RATE_LIMITED', 'Too many requests from your address.', {
        retryAfter: Math.max(1, Math.ceil(decision.retryAfter)),
      });
  };
}
