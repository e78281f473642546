import type { CaEvent } from './event.ts';

/** Everything that was decided about a certificate before a key was asked. All times are Unix milliseconds. */
export interface Intent {
  /** UUID: keymgr records the signature under it. */
  readonly intentId: string;
  /** The enrolment request's id. */
  readonly requestId: string;
  readonly issuerId: string;
  readonly serialNumber: string;
  readonly profile: string;
  readonly profileHash: string;
  /** TBSCertificate, DER: the bytes that are signed, at most once. */
  readonly tbs: Buffer;
  readonly commonName: string;
  /** As `dns:api.example`, in the certificate's order. */
  readonly names: readonly string[];
  readonly requester: string;
  readonly tenantId: string;
  readonly protocol: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of the subjectPublicKeyInfo, hex. */
  readonly spkiSha256: string;
  readonly crlShard: number;
  readonly createdAt: number;
}

/**
 * What became of an attempt to open an intent. Nothing is stored unless it is `opened`.
 * `request-taken`: the request has an open or issued intent already. `serial-taken`: draw another serial number.
 */
export type OpenOutcome = 'opened' | 'request-taken' | 'serial-taken' | 'key-blocked';

/** What exists for a request: its certificate, or an intent whose signing is open. */
export type RequestState =
  | { readonly status: 'issued'; readonly intent: Intent; readonly certificate: Buffer }
  | {
      readonly status: 'open';
      readonly intent: Intent;
      /** Another process opened it, and lives. */
      readonly held: boolean;
    };

/**
 * The durable steps of issuance. Every method is one transaction, and every transition a compare-and-set:
 * open → issued | tombstoned, never back.
 */
export interface IntentStore {
  /**
   * Makes serial number, to-be-signed bytes and event durable. Opening the same intent twice is `opened` twice
   * and leaves one event. Errors: UNAVAILABLE.
   */
  open(intent: Intent, event: CaEvent): Promise<OpenOutcome>;
  /**
   * open → issued, with the certificate's row and the event. Returns false when the intent was not open;
   * true also when this very certificate is stored already.
   */
  complete(intent: Intent, certificate: Buffer, event: CaEvent): Promise<boolean>;
  /** open → tombstoned: the serial number counts as issued and revoked, without a certificate. False when it was not open. */
  abandon(
    intent: Intent,
    revocation: { at: number; reasonCode: number },
    event: CaEvent,
  ): Promise<boolean>;
  /** The request's issued or open intent; tombstoned ones do not count. */
  findByRequest(requestId: string): Promise<RequestState | undefined>;
  /** Whether no certificate is issued for the key: one of a CA, or reported compromised. Lower-case hex of its SHA-256. */
  isKeyBlocked(spkiSha256: string): Promise<boolean>;
  /**
   * Open intents created at or before `createdBefore` or after `createdAfter`, oldest first; those that another process opened, which lives, at or
   * before `heldBefore`.
   * Only those that come after `after` in that order.
   */
  listOpen(
    age: {
      readonly createdBefore: number;
      readonly createdAfter: number;
      readonly heldBefore: number;
    },
    after: Pick<Intent, 'createdAt' | 'intentId'> | undefined,
    limit: number,
  ): Promise<readonly Intent[]>;
}
