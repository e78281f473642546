import { renewalTime } from '@gigvault/rpc/mtls-identity';
import type { Clock } from '@gigvault/time/clock';

/** Milliseconds between two looks at a certificate; within that its revocation is noticed. */
export const LOOK_INTERVAL = 60_000;

/** Milliseconds until the next look: sooner than LOOK_INTERVAL where the certificate is due before, as one that lives for minutes only. */
export function renewalPause(clock: Clock, certificatePem: string): number {
  return Math.min(Math.max(renewalTime(certificatePem) - clock.now(), 0), LOOK_INTERVAL);
}
