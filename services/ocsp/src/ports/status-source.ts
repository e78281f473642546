import type { CertificateState } from './certificate-state.ts';

/** The truth about serial numbers that no event has told of yet. */
export interface StatusSource {
  /**
   * Undefined: never issued, or its signing is still open.
   * Errors: UNAVAILABLE, DEADLINE_EXCEEDED, RATE_LIMITED (too many open questions).
   */
  ask(issuerId: string, serialNumber: string): Promise<CertificateState | undefined>;
}
