import { inclusionPath, verifyInclusion } from '@gigvault/merkle/proof';
import { EMPTY_FRONTIER, extendTree, leafHash, rootOf } from '@gigvault/merkle/tree';
import type { LeafReader, StoredLeaf, TreeReader } from '../ports/tree.ts';
import { damaged, isDamage } from '../proof/damage.ts';
import { eventOf } from '../proof/read-log.ts';
import { rangeHashes } from '../proof/tree-hashes.ts';

/** Entries that are verified at one time. A power of two: each block is a subtree, and the log is a tree of blocks. */
export const BLOCK = 1024;

/** What verifying needs. */
export interface VerifyDeps {
  readonly tree: TreeReader;
  readonly leaves: LeafReader;
}

/** A tree head whose signature is verified. */
export interface SignedHead {
  readonly size: number;
  readonly root: Buffer;
}

/**
 * Recomputes one block of the log from its entries, and proves that it is part of the signed tree (RFC 6962 §2.1.1): entries, the hashes
 * stored above them, and the hashes beside the way to the root. Reads one block and O(log size) hashes, whatever the size of the log.
 * Errors: AUDIT_NOT_VERIFIED, with the entry where it is known; what the readers throw when they cannot look.
 */
export async function verifyBlock(
  deps: VerifyDeps,
  head: SignedHead,
  block: number,
): Promise<void> {
  const start = block * BLOCK;
  const end = Math.min(start + BLOCK, head.size);
  const leaves = await deps.leaves.leaves(start, end - start);
  for (let leafIndex = start; leafIndex < end; leafIndex += 1)
    verifyEntry(leafIndex, leaves[leafIndex - start]);
  const tree = extendTree(
    EMPTY_FRONTIER,
    leaves.map((leaf) => leaf.leafHash),
  );
  const ids = tree.completed.map(({ level, index }) => ({
    level,
    index: index + start / 2 ** level,
  }));
  const stored = await deps.tree.hashes(ids);
  for (const [i, { level, index }] of ids.entries()) {
    if (!stored[i]!.equals(tree.completed[i]!.hash))
      throw damaged(`the hash ${index} of level ${level} is not that of its entries`);
  }
  const blocks = Math.ceil(head.size / BLOCK);
  const path = inclusionPath(block, blocks).map((range) => ({
    start: range.start * BLOCK,
    end: Math.min(range.end * BLOCK, head.size),
  }));
  const isIncluded = verifyInclusion({
    leafHash: rootOf(tree.frontier),
    leafIndex: block,
    size: blocks,
    path: await rangeHashes(deps.tree, path),
    root: head.root,
  });
  if (!isIncluded)
    throw damaged(`entries ${start} to ${end - 1} do not give the root that was signed`);
}

function verifyEntry(leafIndex: number, stored: StoredLeaf | undefined): void {
  if (stored?.leafIndex !== leafIndex) throw damaged(`entry ${leafIndex} is missing`);
  if (!leafHash(stored.leaf).equals(stored.leafHash))
    throw damaged(`entry ${leafIndex} is not what was appended`);
  const event = eventOf(stored.leaf);
  if (event?.producer !== stored.producer || event.position !== stored.position)
    throw damaged(`entry ${leafIndex} is not the event under whose number it stands`);
}

/** The damage that `verify` finds; undefined when there is none. Throws what kept it from looking. */
export async function damageFoundBy(verify: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await verify();
    return undefined;
  } catch (error) {
    if (isDamage(error)) return error.message;
    throw error;
  }
}
