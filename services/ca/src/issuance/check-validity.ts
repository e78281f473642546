import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { lengthOfTime } from '@gigvault/time/length-of-time';

/** The profile's part of a validity. Milliseconds. */
export interface ValidityLimits {
  readonly defaultValidity: number;
  readonly maxValidity: number;
  /** How far before now notBefore may lie. */
  readonly backdate: number;
}

const SECOND = 1_000;

/**
 * The validity of a certificate, in whole seconds.
 *
 * - Nothing wanted: from now less the profile's backdate, for the profile's default, cut off at both ends of the issuer's validity.
 * - notBefore wanted: refused when earlier than now less the backdate, or than the issuer's; refused when later than now by more than the
 *   backdate, since what is proved today says nothing of a year that has not begun (BR §4.2.1).
 * - Only notAfter wanted: back-dated by less where the profile's maximum asks for it.
 * - notAfter wanted: refused, not cut off, beyond the profile's maximum or the issuer's notAfter.
 *
 * Errors: INVALID_ARGUMENT; KEY_UNAVAILABLE when the issuer itself has expired.
 */
export function checkValidity(
  wanted: { readonly notBefore: number; readonly notAfter: number },
  limits: ValidityLimits,
  issuer: { readonly notBefore: number; readonly notAfter: number },
  now: number,
): { notBefore: number; notAfter: number } {
  if (issuer.notAfter <= now) {
    throw new GigvaultError('KEY_UNAVAILABLE', 'The issuing CA has expired.');
  }
  const earliest = Math.max(wholeSeconds(now - limits.backdate), issuer.notBefore);
  const notBefore =
    wanted.notBefore === 0
      ? startFor(wanted.notAfter, limits, earliest, now)
      : wholeSeconds(wanted.notBefore);
  if (notBefore < earliest)
    refuse('/notBefore', 'lies further back than the profile or the issuing CA allows');
  if (notBefore > Math.max(now + limits.backdate, earliest))
    refuse('/notBefore', 'lies in the future');
  const latest = notBefore + wholeSeconds(limits.maxValidity);
  if (wanted.notAfter === 0) {
    const notAfter = Math.min(notBefore + wholeSeconds(limits.defaultValidity), issuer.notAfter);
    if (notAfter <= notBefore) refuse('/notBefore', 'lies after the end of the issuing CA');
    return { notBefore, notAfter };
  }
  const notAfter = wholeSeconds(wanted.notAfter);
  if (notAfter <= notBefore || notAfter <= now)
    refuse('/notAfter', 'lies before notBefore or in the past');
  if (notAfter > latest)
    refuse('/notAfter', `is more than ${lengthOfTime(limits.maxValidity)} after notBefore`);
  if (notAfter > issuer.notAfter) refuse('/notAfter', 'lies after the end of the issuing CA');
  return { notBefore, notAfter };
}

/** The earliest notBefore with which a wanted notAfter (0: none) fits into the profile's maximum, but not after now. */
function startFor(notAfter: number, limits: ValidityLimits, earliest: number, now: number): number {
  const fitting = wholeSeconds(notAfter) - wholeSeconds(limits.maxValidity);
  return Math.max(earliest, Math.min(fitting, wholeSeconds(now)));
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / SECOND) * SECOND;
}

function refuse(pointer: string, message: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `The wanted ${pointer.slice(1)} ${message}.`, {
    problems: [{ pointer, message }],
  });
}
