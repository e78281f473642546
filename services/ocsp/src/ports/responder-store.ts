/** A responder certificate and what it answers for. */
export interface ResponderRecord {
  readonly issuerId: string;
  /** The CA's certificate, DER. */
  readonly issuerCertificate: Buffer;
  /** The delegated certificate, DER. */
  readonly certificate: Buffer;
  /** keymgr's id of the responder's key. */
  readonly keyId: string;
  /** Unix ms, of `certificate`. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Keeps one responder certificate an issuer. */
export interface ResponderStore {
  /** All of them. */
  list(): Promise<readonly ResponderRecord[]>;
  /**
   * Stores the issuer's certificate in place of `replaced`, DER, or as its first. Changes nothing when another one is there by now: a
   * replica was first.
   */
  save(record: ResponderRecord, replaced: Buffer | undefined): Promise<void>;
  /** Of a CA that has retired. */
  remove(issuerId: string): Promise<void>;
}
