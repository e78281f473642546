import type { CaEvent } from './event.ts';

/** What a revocation changed, for its event. */
export interface RevokedCertificate {
  readonly issuerId: string;
  readonly serialNumber: string;
  readonly crlShard: number;
  /** Unix milliseconds; when the reason is raised, the time of the first revocation. */
  readonly revokedAt: number;
  readonly reasonCode: number;
  /** Unix milliseconds. */
  readonly notAfter: number;
}

/** A revocation that is asked for. */
export interface Revocation {
  readonly issuerId: string;
  readonly serialNumber: string;
  readonly reasonCode: number;
  /** Unix milliseconds. */
  readonly at: number;
}

/** The durable step of revocation. */
export interface RevocationStore {
  /** The issuers that have this serial number. */
  issuersOf(serialNumber: string): Promise<readonly string[]>;
  /**
   * valid → revoked, or a revoked certificate's reason → keyCompromise, with the event, in one transaction.
   * keyCompromise also blocks the key. Undefined when neither transition was possible.
   */
  revoke(
    revocation: Revocation,
    event: (revoked: RevokedCertificate) => CaEvent,
  ): Promise<RevokedCertificate | undefined>;
}
