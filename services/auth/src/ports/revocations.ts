/** What the CA says of certificates. */
export interface Revocations {
  /** True for a certificate of this CA that is revoked; false for another CA's, of which nothing is known. Errors: UNAVAILABLE. */
  isRevoked(serialNumber: string): Promise<boolean>;
}
