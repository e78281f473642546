/** Signs TBSCertLists with the CA's key. */
export interface CrlSigner {
  /**
   * Signs and records under `intentId`. The caller verifies the signature.
   * Errors: SIGNING_CLOSED, KEY_UNAVAILABLE, KEY_USE_REFUSED, UNAVAILABLE, DEADLINE_EXCEEDED.
   */
  sign(keyId: string, intentId: string, tbs: Buffer): Promise<Buffer>;
  /** The recorded signature, or undefined: then there is none and never will be. */
  close(intentId: string): Promise<Buffer | undefined>;
}
