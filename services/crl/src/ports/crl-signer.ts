/** Signs TBSCertLists with the CA's key. */
export interface CrlSigner {
  /** Begins to hand a list over, which may not be durable yet: nothing is signed before `sign`. @param length octets of the whole list */
  begin(keyId: string, intentId: string, length: number): ListSigning;
  /** The recorded signature, or undefined: then there is none and never will be. */
  close(intentId: string): Promise<Buffer | undefined>;
}

/** A list on its way. */
export interface ListSigning {
  /** Each part but the last, in order: the head, whole entries. Does not wait and never throws: `sign` tells what went wrong. */
  push(part: Buffer): void;
  /**
   * The last part: the list is durable now. Signs and records the signature under the intent. The caller verifies it.
   * Errors: SIGNING_CLOSED, KEY_UNAVAILABLE, KEY_USE_REFUSED, CONFLICT, UNAVAILABLE, DEADLINE_EXCEEDED.
   */
  sign(tail: Buffer): Promise<Buffer>;
}
