import { EMPTY_ROOT, type LeafRange, nodeHash } from './tree.ts';

/**
 * The ranges whose hashes are the audit path of a leaf, its sibling first: PATH of RFC 6962 §2.1.1.
 * `leafIndex` is below `size`.
 */
export function inclusionPath(leafIndex: number, size: number): LeafRange[] {
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    if (leafIndex < middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
    }
  }
  return ranges;
}

/**
 * The ranges whose hashes prove that the tree of `second` leaves extends that of `first`: PROOF of RFC 6962 §2.1.2. Empty when both are the
 * same or `first` is 0, because every tree extends the empty one. `first` is not above `second`.
 */
export function consistencyPath(first: number, second: number): LeafRange[] {
  if (first === 0) return [];
  const ranges: LeafRange[] = [];
  let start = 0;
  let end = second;
  while (first !== end) {
    const middle = start + splitPoint(end - start);
    if (first <= middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
    }
  }
  if (start > 0) ranges.unshift({ start, end });
  return ranges;
}

/** Whether `path` proves that the leaf stands at `leafIndex` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2). */
export function verifyInclusion(proof: {
  readonly leafHash: Buffer;
  readonly leafIndex: number;
  readonly size: number;
  readonly path: readonly Buffer[];
  readonly root: Buffer;
}): boolean {
  if (
    !Number.isSafeInteger(proof.leafIndex) ||
    proof.leafIndex < 0 ||
    proof.leafIndex >= proof.size
  )
    return false;
  let fn = proof.leafIndex;
  let sn = proof.size - 1;
  let hash = proof.leafHash;
  for (const sibling of proof.path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && hash.equals(proof.root);
}

/** Whether `path` proves that the second tree extends the first (RFC 9162 §2.1.4.2). The empty tree is extended by every other. */
export function verifyConsistency(proof: {
  readonly first: number;
  readonly second: number;
  readonly firstRoot: Buffer;
  readonly secondRoot: Buffer;
  readonly path: readonly Buffer[];
}): boolean {
  const { first, second, firstRoot, secondRoot } = proof;
  if (![first, second].every(Number.isSafeInteger) || first < 0 || first > second) return false;
  if (first === second) return proof.path.length === 0 && firstRoot.equals(secondRoot);
  if (first === 0) return proof.path.length === 0 && firstRoot.equals(EMPTY_ROOT);
  const path = isPowerOfTwo(first) ? [firstRoot, ...proof.path] : [...proof.path];
  let fn = first - 1;
  let sn = second - 1;
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  const start = path.shift();
  if (!start) return false;
  let [old, young] = [start, start];
  for (const hash of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(hash, old);
      young = nodeHash(hash, young);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      young = nodeHash(young, hash);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && old.equals(firstRoot) && young.equals(secondRoot);
}

/** The largest power of two below `n`; `n` is 2 or more. Not by bit operators: they end at 2^31. */
function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

function half(n: number): number {
  return Math.floor(n / 2);
}

function isPowerOfTwo(n: number): boolean {
  let k = 1;
  while (k < n) k *= 2;
  return k === n;
}
