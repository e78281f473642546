import type { ShardKey } from './shard.ts';
import type { PublishedCrl } from './shard-directory.ts';

/** The octets of one CRL, ready to be handed out. */
export interface CrlBody {
  /** With quotes, as in the header: the SHA-256 of the CertificateList. */
  readonly etag: string;
  /** The whole of a small one, a stream of a large one; undefined once it is discarded. */
  open(): Promise<Buffer | AsyncIterable<Buffer> | undefined>;
  /** Who is reading it reads on. */
  discard(): Promise<void>;
}

/** Where the octets of served CRLs are. */
export interface CrlBodies {
  /** Errors: CONFLICT when the octets are not all there (any more); what stood before is untouched. */
  keep(shard: ShardKey, crl: PublishedCrl): Promise<CrlBody>;
}
