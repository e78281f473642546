/** Signs TBSCertLists with the CA's key. */
export interface CrlSigner {
  /** Begins to hand over a list that is durable. @param length octets of the whole list */
  begin(keyId: string, intentId: string, length: number): ListSigning;
  /** The recorded signature, or undefined: then there is none and never will be. */
  close(intentId: string): Promise<Buffer | undefined>;
}

/** A list on its way. */
export interface ListSigning {
  /** Each part, in order: the head, whole entries, the tail. Does not wait and never throws: `sign` tells what went wrong. */
  push(part: Buffer): void;
  /**
   * After the last part. Signs and records the signature under the intent. The caller verifies it.
   * Errors: SIGNING_CLOSED, KEY_UNAVAILABLE, KEY_USE_REFUSED, CONFLICT, UNAVAILABLE, DEADLINE_EXCEEDED.
   */
  sign(): Promise<Buffer>;
}
