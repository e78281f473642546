import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type ReasonName, reasonName } from '@gigvault/x509/reason-code';

/** CRLReason codes that a certificate may be revoked with here. Not 2 and 10 (a CA's own), 6 and 8 (no holds), 7 (unused). */
export const REVOCATION_REASONS = [0, 1, 3, 4, 5, 9] as const;

/** The reason's name (RFC 5280 §5.3.1). Errors: BAD_REVOCATION_REASON. */
export function checkReasonCode(reasonCode: number): ReasonName {
  const name = REVOCATION_REASONS.some((allowed) => allowed === reasonCode)
    ? reasonName(reasonCode)
    : undefined;
  if (name !== undefined) return name;
  throw new GigvaultError(
    'BAD_REVOCATION_REASON',
    `A certificate cannot be revoked with reason ${reasonCode}.`,
    {
      details: { reasonCode, allowed: REVOCATION_REASONS.join(', ') },
    },
  );
}
