import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { RevocationObserver } from '../ports/observer.ts';
import type { CompromisedKeys } from '../ports/revocation-store.ts';
import { revokedEvent } from './revoked-event.ts';

/** What the sweep needs. */
export interface SweepDeps {
  readonly compromised: CompromisedKeys;
  readonly clockGuard: ClockGuard;
  readonly observer: RevocationObserver;
}

/** Keys of one round, and certificates of one transaction. */
const LIMIT = 100;
/** Milliseconds that a compromised key is watched: longer than an intent that was opened before may stay open. */
const WATCH = 15 * 60_000;
const ACTOR = 'service:ca';

/**
 * Revokes every other certificate of each key that was reported compromised (BR §4.9.1.1, T29), also one that was being issued when the
 * report came. Idempotent, and may run in several processes. Returns how many it revoked.
 */
export async function revokeCompromised(deps: SweepDeps): Promise<number> {
  const { compromised, clockGuard, observer } = deps;
  let count = 0;
  for (const key of await compromised.list(LIMIT)) {
    for (let more = true; more; ) {
      const revoked = await compromised.revoke(
        key.spkiSha256,
        clockGuard.believed(),
        LIMIT,
        (certificate) => revokedEvent(certificate, ACTOR),
      );
      for (const { issuerId } of revoked) observer.revoked(issuerId, 'keyCompromise');
      count += revoked.length;
      more = revoked.length === LIMIT;
    }
    if (key.blockedAt < clockGuard.believed() - WATCH) await compromised.settle(key.spkiSha256);
  }
  return count;
}
