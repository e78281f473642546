/** A CA that publishes CRLs. */
export interface Issuer {
  readonly issuerId: string;
  /** DER. */
  readonly certificate: Buffer;
  readonly keyId: string;
  readonly crlBaseUrl: string;
  /** 1 or more. */
  readonly crlShards: number;
  /** It begins to issue once this service has confirmed that it serves its CRLs. */
  readonly prepared: boolean;
  /** When the CA itself ends, Unix ms, once all that it has issued is over: it gets a last CRL. */
  readonly endsAt: number | undefined;
}

/** Who the CAs are. */
export interface IssuerSource {
  issuers(): Promise<readonly Issuer[]>;
  /** This service serves the CRLs of this prepared issuer. */
  confirm(issuerId: string): Promise<void>;
}

/** Remembers them, so that CRLs go on while `ca` cannot be reached. */
export interface IssuerStore {
  /** Adds issuers and shards, updates what changed; true when anything did. */
  save(issuers: readonly Issuer[]): Promise<boolean>;
}
