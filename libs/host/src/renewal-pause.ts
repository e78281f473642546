import { renewalTime } from '@gigvault/rpc/mtls-identity';
import type { Clock } from '@gigvault/time/clock';

/** Milliseconds between two looks at a certificate; within that its revocation is noticed. */
export const LOOK_INTERVAL = 60_000;

/** Milliseconds. A certificate may be due the moment it is issued: one that lives hardly longer than it is backdated, or a clock that is ahead. */
const SHORTEST = 5_000;

/**
 * Milliseconds until the next look: sooner than LOOK_INTERVAL where the certificate is due before, as one that lives for minutes only, and
 * never so soon that renewing is all that is done.
 */
export function renewalPause(clock: Clock, certificatePem: string): number {
  return Math.min(Math.max(renewalTime(certificatePem) - clock.now(), SHORTEST), LOOK_INTERVAL);
}
