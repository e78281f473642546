import { hash } from 'node:crypto';

const LEAF = Buffer.of(0x00);
const NODE = Buffer.of(0x01);

/** A complete subtree: it covers the leaves `index · 2^level` up to, not including, `(index + 1) · 2^level`. */
export interface NodeId {
  readonly level: number;
  readonly index: number;
}

/** A complete subtree and its hash. */
export interface TreeNode extends NodeId {
  readonly hash: Buffer;
}

/** The leaves from `start` up to, not including, `end`. */
export interface LeafRange {
  readonly start: number;
  readonly end: number;
}

/** The root of the tree without leaves (RFC 6962 §2.1). */
export const EMPTY_ROOT = hash('sha256', '', 'buffer');

/** SHA-256(0x00 || leaf) (RFC 6962 §2.1). */
export function leafHash(leaf: Buffer): Buffer {
  return hash('sha256', Buffer.concat([LEAF, leaf]), 'buffer');
}

/** SHA-256(0x01 || left || right) (RFC 6962 §2.1). */
export function nodeHash(left: Buffer, right: Buffer): Buffer {
  return hash('sha256', Buffer.concat([NODE, left, right]), 'buffer');
}

/**
 * The complete subtrees that make up a range, from left to right: at most one for each level. The range must be one that occurs in a tree:
 * `start` a multiple of the largest power of two that is not above the range's length.
 */
export function completeSubtrees({ start, end }: LeafRange): NodeId[] {
  const nodes: NodeId[] = [];
  let at = start;
  while (at < end) {
    let level = 0;
    let width = 1;
    while (width * 2 <= end - at) {
      width *= 2;
      level += 1;
    }
    nodes.push({ level, index: at / width });
    at += width;
  }
  return nodes;
}

/** The hash over a range, from the hashes of its complete subtrees in the order of completeSubtrees. */
export function joinSubtrees(hashes: readonly Buffer[]): Buffer {
  return hashes.length === 0
    ? EMPTY_ROOT
    : hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** A tree as an appender sees it: how many leaves, and the hashes of the complete subtrees of all of them. */
export interface Frontier {
  readonly size: number;
  readonly hashes: readonly Buffer[];
}

/** No leaves. */
export const EMPTY_FRONTIER: Frontier = { size: 0, hashes: [] };

/** What an append makes. */
export interface Extension {
  readonly frontier: Frontier;
  /** Subtrees of level 1 and above that the new leaves complete. */
  readonly completed: readonly TreeNode[];
}

/** Appends leaves by their hashes: O(number of leaves + log size). */
export function extendTree(tree: Frontier, leafHashes: readonly Buffer[]): Extension {
  const hashes = [...tree.hashes];
  const completed: TreeNode[] = [];
  let { size } = tree;
  for (const hash of leafHashes) {
    hashes.push(hash);
    let index = size;
    for (let level = 1; index % 2 === 1; level += 1) {
      index = (index - 1) / 2;
      const right = hashes.pop()!;
      const joined = nodeHash(hashes.pop()!, right);
      hashes.push(joined);
      completed.push({ level, index, hash: joined });
    }
    size += 1;
  }
  return { frontier: { size, hashes }, completed };
}

/** The root of the tree: MTH of RFC 6962 §2.1. */
export function rootOf(tree: Frontier): Buffer {
  return joinSubtrees(tree.hashes);
}
