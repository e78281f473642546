import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** The profile's part of a validity. Milliseconds. */
export interface ValidityLimits {
  readonly defaultValidity: number;
  readonly maxValidity: number;
  /** How far before now notBefore may lie. */
  readonly backdate: number;
}

const SECOND = 1_000;

/**
 * The validity of a certificate, in whole seconds. RFC 5280 §4.1.2.5 counts both ends in, so a validity of 47 days ends one
 * second before 47 days have passed.
 *
 * - Nothing wanted: from now less the profile's backdate, for the profile's default, cut off at the issuer's notAfter.
 * - notBefore wanted: not earlier than now less the backdate.
 * - notAfter wanted: refused, not cut off, beyond the profile's maximum or the issuer's notAfter.
 *
 * Errors: INVALID_ARGUMENT; KEY_UNAVAILABLE when the issuer itself has expired.
 */
export function checkValidity(
  wanted: { readonly notBefore: number; readonly notAfter: number },
  limits: ValidityLimits,
  issuerNotAfter: number,
  now: number,
): { notBefore: number; notAfter: number } {
  if (issuerNotAfter <= now) {
    throw new GigvaultError('KEY_UNAVAILABLE', 'The issuing CA has expired.');
  }
  const earliest = wholeSeconds(now - limits.backdate);
  const notBefore = wanted.notBefore === 0 ? earliest : wholeSeconds(wanted.notBefore);
  if (notBefore < earliest) refuse('/notBefore', 'lies further back than the profile allows');
  const latest = notBefore + limits.maxValidity - SECOND;
  if (wanted.notAfter === 0) {
    const notAfter = Math.min(notBefore + limits.defaultValidity - SECOND, latest, issuerNotAfter);
    if (notAfter <= notBefore) refuse('/notBefore', 'lies after the end of the issuing CA');
    return { notBefore, notAfter };
  }
  const notAfter = wholeSeconds(wanted.notAfter);
  if (notAfter <= notBefore || notAfter <= now) refuse('/notAfter', 'lies before notBefore or in the past');
  if (notAfter > latest) refuse('/notAfter', `is more than ${limits.maxValidity / SECOND} seconds after notBefore`);
  if (notAfter > issuerNotAfter) refuse('/notAfter', 'lies after the end of the issuing CA');
  return { notBefore, notAfter };
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / SECOND) * SECOND;
}

function refuse(pointer: string, message: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `The wanted ${pointer.slice(1)} ${message}.`, {
    problems: [{ pointer, message }],
  });
}
