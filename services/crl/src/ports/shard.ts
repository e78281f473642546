/** One CRL's scope: a part of an issuer's certificates, fixed when each is issued. */
export interface ShardKey {
  readonly issuerId: string;
  /** From 0. */
  readonly crlShard: number;
}

/** A shard and what is published of it. Times are Unix ms. */
export interface ShardState extends ShardKey {
  /** The CA's certificate, DER. */
  readonly issuerCertificate: Buffer;
  /** keymgr's id of the CA's key. */
  readonly keyId: string;
  /** The CRL's address is `<crlBaseUrl>/<crlShard>.crl`. */
  readonly crlBaseUrl: string;
  /** Of a CA that has retired, when it ends: its last CRL is good until then. */
  readonly endsAt: number | undefined;
  /** The first revocation that no CRL was begun for. */
  readonly changedAt: number | undefined;
  /** Undefined: nothing is published yet. */
  readonly published: PublishedState | undefined;
  /** A CRL was begun and not finished: by another replica at this moment, or by one that failed. */
  readonly open: boolean;
  /** When it was begun. */
  readonly openSince: number | undefined;
  /** thisUpdate of the newest CRL that was made on schedule. */
  readonly scheduledUpdate: number | undefined;
}

/** The newest published CRL of a shard. */
export interface PublishedState {
  readonly crlNumber: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
}
