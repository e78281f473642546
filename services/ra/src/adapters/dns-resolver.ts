import { type DnsOptions, dnsAddresses } from '@gigvault/egress/dns-addresses';
import type { Resolver } from '../ports/resolver.ts';
import { ChallengeFailure } from '../validation/challenge-failure.ts';

/** As dnsAddresses, with what goes wrong in the words of a challenge. */
export function dnsResolver(options: DnsOptions): Resolver {
  const addressesOf = dnsAddresses(options);
  return {
    async resolve(name, signal) {
      try {
        return await addressesOf(name, signal);
      } catch (error) {
        signal.throwIfAborted();
        const { message, cause } = error as Error;
        throw new ChallengeFailure('dns', message, { retry: true, cause });
      }
    },
  };
}
