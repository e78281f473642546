import type { ShardKey, ShardState } from './shard.ts';

/** A published CRL. */
export interface PublishedCrl {
  /** CertificateList, DER. */
  readonly der: Buffer;
  readonly entryCount: number;
}

/** Reads shards and what is published of them. */
export interface ShardDirectory {
  /** Shards of known issuers, by issuer and number. */
  list(): Promise<readonly ShardState[]>;
  /** The newest published CRL; undefined before the first. */
  published(shard: ShardKey): Promise<PublishedCrl | undefined>;
}
