import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** CRLReason (RFC 5280 §5.3.1) of what may be revoked here, by its name in the standard. */
export const REASON_CODES = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;

/** A name of REASON_CODES. */
export type ReasonName = keyof typeof REASON_CODES;

/** The reason's name. Errors: BAD_REVOCATION_REASON for 2 (a CA's own), 6 and 8 (no holds), 7 (unused), 10, and anything else. */
export function reasonName(reasonCode: number): ReasonName {
  const entry = Object.entries(REASON_CODES).find(([, code]) => code === reasonCode);
  if (entry) return entry[0] as ReasonName;
  throw new GigvaultError('BAD_REVOCATION_REASON', `A certificate cannot be revoked with reason ${reasonCode}.`, {
    details: { reasonCode, allowed: Object.values(REASON_CODES).join(', ') },
  });
}
