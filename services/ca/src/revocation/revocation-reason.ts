import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { LEAF_REASONS, REASON_CODE, type ReasonName, reasonName } from '@gigvault/x509/reason-code';

/** CRLReason codes that a certificate may be revoked with here: 0, 1, 3, 4, 5 and 9. */
export const REVOCATION_REASONS = LEAF_REASONS.map((name) => REASON_CODE[name]);

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
