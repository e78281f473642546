/** A CA whose certificates this service answers for. */
export interface Issuer {
  readonly issuerId: string;
  /** DER. */
  readonly certificate: Buffer;
}

/** Where keys and certificates of responders come from. */
export interface ResponderAuthority {
  /** The public CAs. */
  issuers(): Promise<readonly Issuer[]>;
  /** SubjectPublicKeyInfo (DER) of the OCSP key; generated when there is none. */
  publicKey(keyId: string): Promise<Buffer>;
  /** Issues a certificate of profile `ocsp-signer`; idempotent on `requestId`. Returns DER. */
  certify(request: {
    readonly requestId: string;
    readonly issuerId: string;
    readonly subjectPublicKeyInfo: Buffer;
  }): Promise<Buffer>;
}
