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

/** Has keymgr make the next key of a CA. */
export interface SuccessorKeys {
  /**
   * The key of this generation, made at the first call, and the PKCS #10 request (DER) for its certificate. @param keyId of the CA's first key
   * Errors: KEY_NOT_FOUND, KEY_USE_REFUSED, INVALID_ARGUMENT, KEY_UNAVAILABLE.
   */
  request(
    keyId: string,
    generation: number,
    actor: string,
  ): Promise<{ readonly keyId: string; readonly certificationRequest: Buffer }>;
}
