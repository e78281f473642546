/** A CA whose certificates this service answers for. */
export interface Issuer {
  readonly issuerId: string;
  /** DER. */
  readonly certificate: Buffer;
  /** It begins to issue once this service has confirmed that it answers for it. */
  readonly prepared: boolean;
}

/** Where keys and certificates of responders come from. */
export interface ResponderAuthority {
  /** The public CAs, but for those that have retired: all that they issued is over. */
  issuers(): Promise<readonly Issuer[]>;
  /** This service answers for a prepared CA. */
  confirm(issuerId: string): Promise<void>;
  /** SubjectPublicKeyInfo (DER) of the OCSP key; generated when there is none. */
  publicKey(keyId: string): Promise<Buffer>;
  /** Issues a certificate of profile `ocsp-signer`; idempotent on `requestId`. Returns DER. */
  certify(request: {
    readonly requestId: string;
    readonly issuerId: string;
    readonly subjectPublicKeyInfo: Buffer;
  }): Promise<Buffer>;
}
