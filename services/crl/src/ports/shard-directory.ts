import type { ShardKey, ShardState } from './shard.ts';

/** Reads shards and what is published of them. */
export interface ShardDirectory {
  /** Shards of known issuers, by issuer and number. */
  list(): Promise<readonly ShardState[]>;
  /** The newest published CRL, DER, with its number; undefined before the first. */
  published(
    shard: ShardKey,
  ): Promise<{ readonly crlNumber: number; readonly der: Buffer } | undefined>;
}
