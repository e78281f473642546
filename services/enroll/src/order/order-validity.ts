import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { lengthOfTime } from '@gigvault/time/length-of-time';
import type { OrderProfile } from '../ports/certificate-authority.ts';

/**
 * Refuses times that no certificate of the profile will have (RFC 8555 §7.4), while the client can still ask for others. The
 * CA checks again when it issues, against its own life as well.
 * Errors: INVALID_ARGUMENT.
 *
 * @param wanted Unix milliseconds, 0 when absent.
 */
export function checkOrderValidity(
  wanted: { readonly notBefore: number; readonly notAfter: number },
  { backdate, maxValidity }: Pick<OrderProfile, 'backdate' | 'maxValidity'>,
  now: number,
): void {
  const { notBefore, notAfter } = wanted;
  if (notBefore !== 0 && notBefore < now - backdate)
    refuse('notBefore', `lies more than ${lengthOfTime(backdate)} in the past`);
  // What is proved today says nothing of a time that has not begun; a clock that is ahead is forgiven as much as one behind.
  if (notBefore > now + backdate)
    refuse('notBefore', `lies more than ${lengthOfTime(backdate)} in the future`);
  if (notAfter === 0) return;
  if (notAfter <= now) refuse('notAfter', 'lies in the past');
  if (notAfter <= notBefore) refuse('notAfter', 'does not lie after "notBefore"');
  if (notAfter - (notBefore || now) > maxValidity)
    refuse(
      'notAfter',
      `is more than ${lengthOfTime(maxValidity)} after ${notBefore === 0 ? 'now' : '"notBefore"'}`,
    );
}

/** When a wanted time (0: none) lies further back than a certificate's may: from then on the order cannot be fulfilled. */
export function lastMomentFor(
  { notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number },
  { backdate }: Pick<OrderProfile, 'backdate'>,
): number {
  return Math.min(
    notBefore === 0 ? Number.POSITIVE_INFINITY : notBefore + backdate,
    notAfter === 0 ? Number.POSITIVE_INFINITY : notAfter,
  );
}

function refuse(member: string, why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `"${member}" ${why}.`, {
    problems: [{ pointer: `/${member}`, message: why }],
  });
}
