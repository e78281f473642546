/** A CA that publishes CRLs. */
export interface Issuer {
  readonly issuerId: string;
  /** DER. */
  readonly certificate: Buffer;
  readonly keyId: string;
  readonly crlBaseUrl: string;
  /** 1 or more. */
  readonly crlShards: number;
}

/** Who the CAs are. */
export interface IssuerSource {
  issuers(): Promise<readonly Issuer[]>;
}

/** Remembers them, so that CRLs go on while `ca` cannot be reached. */
export interface IssuerStore {
  /** Adds issuers and shards, updates what changed; true when anything did. */
  save(issuers: readonly Issuer[]): Promise<boolean>;
}
