import type { ShardKey } from './shard.ts';
import type { PublishedCrl } from './shard-directory.ts';

/** What a CRL is to be. */
export interface CrlPlan {
  /** A new UUID. */
  readonly intentId: string;
  /** Unix ms, whole seconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Made on schedule; false: because of a revocation. */
  readonly scheduled: boolean;
  /** What stands before and behind the entries in the TBSCertList of this number. Pure. @param octets of all entries */
  frame(crlNumber: number, octets: number): { readonly head: Buffer; readonly tail: Buffer };
}

/** A CRL that may have been signed. */
export interface CrlIntent extends ShardKey {
  /** The UUID under which keymgr records the signature. */
  readonly intentId: string;
  readonly crlNumber: number;
  /** Of the TBSCertList. */
  readonly octets: number;
}

/** What makes a CertificateList of a TBSCertList. */
export interface CrlFrame {
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** What is published of a CRL, but for its octets. */
export type PublishedFacts = Omit<PublishedCrl, 'parts'>;

/** The life of a CRL: intended, then published or abandoned. */
export interface CrlStore {
  /** Runs alone on this shard, over all replicas; 'busy' when somebody else does. Released at once when the process dies. */
  exclusive<T>(shard: ShardKey, run: () => Promise<T>): Promise<T | 'busy'>;
  /** The intent that a crash left open. */
  openIntent(shard: ShardKey): Promise<CrlIntent | undefined>;
  /**
   * Takes the next number: the Unix time of thisUpdate in seconds, or one more than the last where that is higher. So numbers rise also
   * across a restore of an old backup, which forgets the last (RFC 5280 §5.2.3: no more than 20 octets). On schedule drops entries that need not stand any longer. Builds over what is revoked, and writes the intent, in one
   * transaction. Errors: CONFLICT when the shard has an open intent.
   */
  intend(shard: ShardKey, plan: CrlPlan): Promise<CrlIntent>;
  /** The intent's TBSCertList, DER, in parts: what stands before the entries, whole entries, what stands behind them. */
  tbs(intent: CrlIntent): AsyncIterable<Buffer>;
  /** Undefined when the intent was not open any more. */
  publish(intent: CrlIntent, frame: CrlFrame): Promise<PublishedFacts | undefined>;
  /** Deletes what is older than the last few. */
  prune(shard: ShardKey): Promise<void>;
  /** Closes the intent for ever; its number stays used, and the shard counts as changed at `now` (Unix ms). */
  abandon(intent: CrlIntent, now: number): Promise<void>;
}
