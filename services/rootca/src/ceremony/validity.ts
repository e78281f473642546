import { GigvaultError } from '@gigvault/errors/gigvault-error';

const MINUTE = 60_000;
const SECOND = 1_000;

/** Unix ms, whole seconds; both ends count (RFC 5280 §4.1.2.5). */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** `years` calendar years from a backdated now, less the last second. */
export function validityOfYears(now: number, years: number, backdateMinutes: number): Validity {
  const notBefore = Math.floor((now - backdateMinutes * MINUTE) / SECOND) * SECOND;
  const end = new Date(notBefore);
  end.setUTCFullYear(end.getUTCFullYear() + years);
  return { notBefore, notAfter: end.getTime() - SECOND };
}

/** Errors: INVALID_ARGUMENT when a certificate would outlive its issuer. */
export function requireWithin(inner: Validity, outer: Validity): void {
  if (inner.notBefore < outer.notBefore || inner.notAfter > outer.notAfter) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The certificate would be valid until ${new Date(inner.notAfter).toISOString()}, the root only until ${new Date(outer.notAfter).toISOString()}.`,
    );
  }
}
