import type { ShardKey, ShardState } from './shard.ts';

/** A published CRL. Times are Unix ms. */
export interface PublishedCrl {
  readonly crlNumber: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly entryCount: number;
  /** Of the CertificateList. */
  readonly octets: number;
  /** The CertificateList, DER, in parts. Short when it was deleted meanwhile. */
  parts(): AsyncIterable<Buffer> | Iterable<Buffer>;
}

/** Reads shards and what is published of them. */
export interface ShardDirectory {
  /** Shards of known issuers, by issuer and number. */
  list(): Promise<readonly ShardState[]>;
  /** The newest published CRL; undefined before the first. */
  published(shard: ShardKey): Promise<PublishedCrl | undefined>;
}
