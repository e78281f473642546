import type { NodeId, TreeNode } from '@gigvault/merkle/tree';

/** One leaf as it is stored. */
export interface StoredLeaf {
  readonly leafIndex: number;
  readonly producer: string;
  /** In its producer's event log. */
  readonly position: number;
  readonly leaf: Buffer;
  readonly leafHash: Buffer;
}

/** The tree as committed. It only grows: what is true of a size stays true. */
export interface TreeReader {
  /** How many leaves there are. */
  size(): Promise<number>;
  /** The hashes of complete subtrees, in the order asked. Errors: AUDIT_NOT_VERIFIED when one is not there. */
  hashes(ids: readonly NodeId[]): Promise<readonly Buffer[]>;
}

/** Where the tree ends. */
export interface TreeEnd {
  readonly size: number;
  /** How many leaves the newest signed tree head has; 0 before the first. */
  readonly signedSize: number;
  /** Whether the event that was asked for is in the tree. */
  readonly holds: boolean;
}

/** The tree inside one transaction. */
export interface TreeWriter extends Pick<TreeReader, 'hashes'> {
  /** Waits until this transaction is the only writer, until it ends. */
  lock(): Promise<void>;
  /** After `lock`. Looks for the event of `producer` at `position` of its log. */
  end(producer: string, position: number): Promise<TreeEnd>;
  /** Errors: AUDIT_NOT_VERIFIED when something stands already where these belong. */
  append(leaves: readonly StoredLeaf[], completed: readonly TreeNode[]): Promise<void>;
}

/** Finds leaves by their events. */
export interface LeafFinder {
  /** Where an event stands in the tree. */
  indexOf(producer: string, position: number): Promise<number | undefined>;
}

/** The leaves. */
export interface LeafReader extends LeafFinder {
  /** At most `limit` leaves from `start` on, in order. */
  leaves(start: number, limit: number): Promise<readonly StoredLeaf[]>;
}
