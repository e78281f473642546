/** Signs ResponseData with an OCSP key. */
export interface ResponseSigner {
  /**
   * The signature as it stands in BasicOCSPResponse. The caller verifies it.
   * Errors: KEY_UNAVAILABLE, KEY_USE_REFUSED, UNAVAILABLE, RATE_LIMITED (too many open signatures).
   */
  sign(keyId: string, responseData: Buffer): Promise<Buffer>;
}
