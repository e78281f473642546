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
  readonly commonName: string;
  /** As `dns:api.example`. */
  readonly names: readonly string[];
  readonly profile: string;
  readonly requester: string;
  readonly tenantId: string;
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

/** Keys that were reported compromised. */
export interface CompromisedKeys {
  /** The oldest that have not been settled. */
  list(
    limit: number,
  ): Promise<readonly { readonly spkiSha256: string; readonly blockedAt: number }[]>;
  /** valid → revoked with keyCompromise, for at most `limit` certificates of the key, each with its event, in one transaction. */
  revoke(
    spkiSha256: string,
    at: number,
    limit: number,
    event: (revoked: RevokedCertificate) => CaEvent,
  ): Promise<readonly RevokedCertificate[]>;
  /** No further certificate of the key can appear: it is not listed again. */
  settle(spkiSha256: string): Promise<void>;
}
