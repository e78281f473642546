import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { clientKey, createRateLimiter } from '@gigvault/http/rate-limiter';
import type { Clock } from '@gigvault/time/clock';
import type { RateLimits } from '../ports/rate-limits.ts';

const HOUR_SECONDS = 3600;

/** The caps, for each hour. All of an hour's share can be used at once. */
export function rateLimits(
  perHour: { readonly newAccounts: number; readonly changes: number },
  clock: Clock,
): RateLimits {
  const accounts = limiter(perHour.newAccounts, clock, 'Too many new accounts from your address.');
  const changes = limiter(perHour.changes, clock, 'Too many changes of the account.');
  return { newAccount: (address) => accounts(clientKey(address)), change: changes };
}

function limiter(perHour: number, clock: Clock, message: string): (client: string) => void {
  const rate = { requestsPerSecond: perHour / HOUR_SECONDS, burst: perHour };
  const limit = createRateLimiter(rate, clock);
  return (client) => {
    const { allowed, retryAfter } = limit.take(client);
    if (!allowed) throw new GigvaultError('RATE_LIMITED', message, { retryAfter });
  };
}
