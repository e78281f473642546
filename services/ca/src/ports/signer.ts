declare const order: unique symbol;

/** Permission to sign linted bytes once. Only `PreparedCertificate.take()` makes one. */
export interface SigningOrder {
  readonly [order]: true;
  readonly keyId: string;
  /** The open intent under which the signature is recorded. */
  readonly intentId: string;
  readonly tbs: Buffer;
}

/** What keymgr knows of a signing that is now closed for ever. */
export type ClosedSigning = { readonly signature: Buffer } | { readonly tombstoned: true };

/** The part of keymgr that issuance needs. */
export interface Signer {
  /**
   * The signature, recorded under the intent's id before this returns. After any failure the result is unknown:
   * never send the order again, go through `close`.
   * Errors: KEY_NOT_FOUND, KEY_USE_REFUSED, KEY_UNAVAILABLE, SIGNING_CLOSED, UNAVAILABLE, DEADLINE_EXCEEDED.
   */
  sign(order: SigningOrder): Promise<Buffer>;
  /** The recorded signature, or a tombstone after which the intent can never be signed. Idempotent. */
  close(intentId: string): Promise<ClosedSigning>;
}

/** Reads public keys of keymgr. */
export interface KeyDirectory {
  /** subjectPublicKeyInfo, DER. Errors: KEY_NOT_FOUND. */
  publicKeyOf(keyId: string): Promise<Buffer>;
}
