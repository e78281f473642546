/** Signs TBSCertLists with the CA's key. */
export interface CrlSigner {
  /**
   * Signs a list in parts (head, whole entries, tail) and records the signature under `intentId`. The caller verifies it.
   * @param passing called once with each part, in order
   * Errors: SIGNING_CLOSED, KEY_UNAVAILABLE, KEY_USE_REFUSED, UNAVAILABLE, DEADLINE_EXCEEDED.
   */
  sign(
    keyId: string,
    intentId: string,
    tbs: readonly Buffer[],
    passing: (part: Buffer) => Promise<void>,
  ): Promise<Buffer>;
  /** The recorded signature, or undefined: then there is none and never will be. */
  close(intentId: string): Promise<Buffer | undefined>;
}
