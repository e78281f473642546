import type { Clock } from '@gigvault/time/clock';
import type { ResponderDirectory } from '../responder/responder-directory.ts';
import type { Freshness } from '../revocation/freshness.ts';

/** Throws when nothing can be signed: no responder certificate is valid. */
export function checkSigner(responders: ResponderDirectory, clock: Clock): void {
  const now = clock.now();
  if (!responders.all().some(({ notBefore, notAfter }) => notBefore <= now && now < notAfter))
    throw new Error('there is no valid OCSP responder certificate');
}

/** Throws when less than a quarter of a responder certificate's life is left. */
export function checkRenewal(responders: ResponderDirectory, clock: Clock): void {
  for (const { issuerId, notBefore, notAfter } of responders.all()) {
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
