/** CRLReason (RFC 5280 §5.3.1). 7 is not used. */
export const REASON_CODE = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;

/** Reasons that a certificate below a CA may be revoked with: not a CA's own, no holds, and not what only a delta CRL says. */
export const LEAF_REASONS = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const satisfies readonly ReasonName[];

/** The name of a CRLReason. */
export type ReasonName = keyof typeof REASON_CODE;

const NAMES: ReadonlyMap<number, ReasonName> = new Map(
  Object.entries(REASON_CODE).map(([name, code]) => [code, name as ReasonName]),
);

/** True for the codes of RFC 5280 §5.3.1. */
export function isReasonCode(code: number): boolean {
  return NAMES.has(code);
}

/** As `keyCompromise`; undefined for a code that does not exist. */
export function reasonName(code: number): ReasonName | undefined {
  return NAMES.get(code);
}
