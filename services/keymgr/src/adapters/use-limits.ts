import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { createRateLimiter, type RateLimiter } from '@gigvault/http/rate-limiter';
import type { Clock } from '@gigvault/time/clock';
import type { KeymgrConfig } from '../keymgr.config.ts';
import type { KeyUsage } from '../ports/key-usage.ts';
import type { LimitedUse, UseLimits } from '../ports/use-limits.ts';

const MINUTE_SECONDS = 60;

const TOO_MANY: Readonly<Record<LimitedUse, string>> = {
  generate: 'Too many new keys in a minute.',
  sign: 'Too many uses of keys in a minute.',
  list: 'Too many lists of keys in a minute.',
  change: 'Too many changes of keys in a minute.',
};

/** Counters of this process: two replicas allow twice as much. All of a minute's share can be used at once. */
export function useLimits(
  { people, services }: KeymgrConfig['limits'],
  { usage, clock }: { readonly usage: Pick<KeyUsage, 'refused'>; readonly clock: Clock },
): UseLimits {
  const ofPeople = limiters(people, clock);
  const ofServices = limiters(services, clock);
  return {
    async take(use, actor, keyId) {
      const limiter = (actor.startsWith('service:') ? ofServices : ofPeople)[use];
      const decision = limiter?.take(actor);
      if (!decision || decision.allowed) return;
      await usage.refused({ keyId, purpose: use, caller: actor }, 'too many in a minute');
      throw new GigvaultError('RATE_LIMITED', TOO_MANY[use], { retryAfter: decision.retryAfter });
    },
  };
}

function limiters(
  perMinute: Readonly<Partial<Record<LimitedUse, number>>>,
  clock: Clock,
): Record<LimitedUse, RateLimiter | undefined> {
  const one = (burst = 0) =>
    burst === 0
      ? undefined
      : createRateLimiter({ requestsPerSecond: burst / MINUTE_SECONDS, burst }, clock);
  return {
    generate: one(perMinute.generate),
    sign: one(perMinute.sign),
    list: one(perMinute.list),
    change: one(perMinute.change),
  };
}
