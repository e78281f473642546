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
  /** The hashes of complete subtrees, in the order asked. Errors: INTERNAL when one is not there. */
  hashes(ids: readonly NodeId[]): Promise<readonly Buffer[]>;
}

/** The tree inside one transaction. */
export interface TreeWriter extends TreeReader {
  /** Waits until this transaction is the only writer, until it ends. */
  lock(): Promise<void>;
  append(leaves: readonly StoredLeaf[], completed: readonly TreeNode[]): Promise<void>;
}

/** The leaves. */
export interface LeafReader {
  /** At most `limit` leaves from `start` on, in order. */
  leaves(start: number, limit: number): Promise<readonly StoredLeaf[]>;
  /** Where an event stands in the tree. */
  indexOf(producer: string, position: number): Promise<number | undefined>;
}
