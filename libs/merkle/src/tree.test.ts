import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LEAVES, ROOTS } from '../test/vectors.ts';
import {
  completeSubtrees,
  EMPTY_FRONTIER,
  EMPTY_ROOT,
  extendTree,
  joinSubtrees,
  leafHash,
  nodeHash,
  rootOf,
} from './tree.ts';

/** MTH as RFC 6962 §2.1 defines it, word for word. */
function definedRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return EMPTY_ROOT;
  if (hashes.length === 1) return hashes[0]!;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return nodeHash(definedRoot(hashes.slice(0, k)), definedRoot(hashes.slice(k)));
}

describe('the tree', () => {
  it('has the published roots (test vectors of the certificate-transparency reference implementation)', () => {
    expect(EMPTY_ROOT.toString('hex')).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    for (const [i, root] of ROOTS.entries()) {
      const hashes = LEAVES.slice(0, i + 1).map(leafHash);
      expect(rootOf(extendTree(EMPTY_FRONTIER, hashes).frontier).toString('hex')).toBe(root);
      expect(definedRoot(hashes).toString('hex')).toBe(root);
    }
  });

  it('is the same whatever the batches, and every complete subtree is what the definition says', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 40 }), { maxLength: 8 }), (batches) => {
        let tree = EMPTY_FRONTIER;
        const hashes: Buffer[] = [];
        for (const batch of batches) {
          const added = Array.from({ length: batch }, (_, i) =>
            leafHash(Buffer.from(`${hashes.length + i}`)),
          );
          const { frontier, completed } = extendTree(tree, added);
          hashes.push(...added);
          tree = frontier;
          for (const { level, index, hash } of completed) {
            const width = 2 ** level;
            expect(hash).toEqual(definedRoot(hashes.slice(index * width, (index + 1) * width)));
          }
        }
        expect(tree.size).toBe(hashes.length);
        expect(rootOf(tree)).toEqual(definedRoot(hashes));
        expect(tree.hashes).toHaveLength(completeSubtrees({ start: 0, end: tree.size }).length);
      }),
    );
  });

  it('names the subtrees of a range from left to right, beyond 2^32 as well', () => {
    expect(completeSubtrees({ start: 8, end: 15 })).toEqual([
      { level: 2, index: 2 },
      { level: 1, index: 6 },
      { level: 0, index: 14 },
    ]);
    expect(completeSubtrees({ start: 0, end: 2 ** 40 + 1 })).toEqual([
      { level: 40, index: 0 },
      { level: 0, index: 2 ** 40 },
    ]);
    expect(joinSubtrees([])).toEqual(EMPTY_ROOT);
  });
});
