import type { Clock } from '@gigvault/time/clock';
import type { ResponderDirectory } from '../responder/responder-directory.ts';
import type { Freshness } from '../revocation/freshness.ts';

/** Throws when an answer could not be signed, or will soon not be: less than a quarter of a responder certificate's life is left. */
export function checkSigners(responders: ResponderDirectory, clock: Clock): void {
  const all = responders.all();
  if (all.length === 0) throw new Error('there is no OCSP responder certificate yet');
  for (const { issuerId, notBefore, notAfter } of all) {
    if (notAfter - clock.now() < (notAfter - notBefore) / 4) {
      const end = new Date(notAfter).toISOString();
      throw new Error(
        `the OCSP responder certificate of ${issuerId} ends at ${end} and is not renewed`,
      );
    }
  }
}

/** Throws when revocations of the last `staleAfter` milliseconds may not be known. */
export function checkFreshness(freshness: Freshness, clock: Clock, staleAfter: number): void {
  const asOf = freshness.asOf();
  if (asOf === undefined) throw new Error('the event log of ca has not been read to its end yet');
  if (clock.now() - asOf > staleAfter) {
    throw new Error(`revocations are known up to ${new Date(asOf).toISOString()} only`);
  }
}
