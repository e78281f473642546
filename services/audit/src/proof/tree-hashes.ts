import { consistencyPath, inclusionPath } from '@gigvault/merkle/proof';
import { completeSubtrees, joinSubtrees, type LeafRange } from '@gigvault/merkle/tree';
import type { TreeReader } from '../ports/tree.ts';

/** The root of the tree's first `size` leaves. */
export async function rootHash(tree: TreeReader, size: number): Promise<Buffer> {
  return joinSubtrees(await tree.hashes(completeSubtrees({ start: 0, end: size })));
}

/** The audit path of a leaf in the tree of `size` leaves (RFC 6962 §2.1.1). */
export function inclusionHashes(
  tree: TreeReader,
  leafIndex: number,
  size: number,
): Promise<Buffer[]> {
  return rangeHashes(tree, inclusionPath(leafIndex, size));
}

/** The proof that the tree of `second` leaves extends that of `first` (RFC 6962 §2.1.2). */
export function consistencyHashes(
  tree: TreeReader,
  first: number,
  second: number,
): Promise<Buffer[]> {
  return rangeHashes(tree, consistencyPath(first, second));
}

/** The hashes over ranges of leaves, from stored subtrees. */
export async function rangeHashes(
  tree: TreeReader,
  ranges: readonly LeafRange[],
): Promise<Buffer[]> {
  const subtrees = ranges.map(completeSubtrees);
  const hashes = await tree.hashes(subtrees.flat());
  let at = 0;
  return subtrees.map(({ length }) => {
    at += length;
    return joinSubtrees(hashes.slice(at - length, at));
  });
}
