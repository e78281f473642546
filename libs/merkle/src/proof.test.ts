import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LEAVES, ROOTS } from '../test/vectors.ts';
import { consistencyPath, inclusionPath, verifyConsistency, verifyInclusion } from './proof.ts';
import { EMPTY_FRONTIER, extendTree, type LeafRange, leafHash, rootOf } from './tree.ts';

const HASHES = LEAVES.map(leafHash);

function rangeHash({ start, end }: LeafRange, hashes: readonly Buffer[]): Buffer {
  return rootOf(extendTree(EMPTY_FRONTIER, hashes.slice(start, end)).frontier);
}

function root(size: number, hashes: readonly Buffer[]): Buffer {
  return rangeHash({ start: 0, end: size }, hashes);
}

function hex(ranges: readonly LeafRange[]): string[] {
  return ranges.map((range) => rangeHash(range, HASHES).toString('hex'));
}

const H = {
  leaf1: '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  pair1: '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  right4: '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  leaf4: 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  pair3: 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
  pair2: '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
};

describe('published proofs (test vectors of the certificate-transparency reference implementation)', () => {
  it.each([
    [0, 8, [H.leaf1, H.pair1, H.right4]],
    [5, 8, [H.leaf4, H.pair3, ROOTS[3]]],
    [2, 3, [ROOTS[1]]],
    [1, 5, [ROOTS[0], H.pair1, H.leaf4]],
    [0, 1, []],
  ])('includes leaf %d in %d', (leafIndex, size, path) => {
    expect(hex(inclusionPath(leafIndex, size))).toEqual(path);
  });

  it.each([
    [1, 8, [H.leaf1, H.pair1, H.right4]],
    [6, 8, [H.pair2, H.pair3, ROOTS[3]]],
    [2, 5, [H.pair1, H.leaf4]],
    [1, 1, []],
    [0, 5, []],
  ])('extends %d to %d', (first, second, path) => {
    expect(hex(consistencyPath(first, second))).toEqual(path);
  });
});

const sizes = fc.tuple(fc.nat({ max: 130 }), fc.nat({ max: 130 }));

describe('verification', () => {
  const hashes = Array.from({ length: 140 }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));

  it('accepts the path of every leaf, and nothing else', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), ([a, b], salt) => {
        const size = Math.max(a, b) + 1;
        const leafIndex = Math.min(a, b);
        const path = inclusionPath(leafIndex, size).map((range) => rangeHash(range, hashes));
        const proof = {
          leafHash: hashes[leafIndex]!,
          leafIndex,
          size,
          path,
          root: root(size, hashes),
        };
        expect(verifyInclusion(proof)).toBe(true);
        expect(verifyInclusion({ ...proof, leafHash: hashes[139]! })).toBe(false);
        expect(verifyInclusion({ ...proof, root: hashes[0]! })).toBe(size === 1);
        expect(verifyInclusion({ ...proof, path: [...path, hashes[1]!] })).toBe(false);
        expect(verifyInclusion({ ...proof, leafIndex: size })).toBe(false);
        if (path.length === 0) return;
        expect(verifyInclusion({ ...proof, path: path.slice(1) })).toBe(false);
        const changed = path.map((hash, i) => (i === salt % path.length ? hashes[139]! : hash));
        expect(verifyInclusion({ ...proof, path: changed })).toBe(false);
      }),
    );
  });

  it('accepts the consistency of every pair of sizes, and nothing else', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), ([a, b], salt) => {
        const [first, second] = [Math.min(a, b), Math.max(a, b)];
        const path = consistencyPath(first, second).map((range) => rangeHash(range, hashes));
        const proof = {
          first,
          second,
          path,
          firstRoot: root(first, hashes),
          secondRoot: root(second, hashes),
        };
        expect(verifyConsistency(proof)).toBe(true);
        if (first === 0 || first === second) return;
        expect(verifyConsistency({ ...proof, firstRoot: hashes[139]! })).toBe(false);
        expect(verifyConsistency({ ...proof, secondRoot: hashes[139]! })).toBe(false);
        expect(verifyConsistency({ ...proof, path: path.slice(1) })).toBe(false);
        expect(verifyConsistency({ ...proof, first: second, second: first })).toBe(false);
        const changed = path.map((hash, i) => (i === salt % path.length ? hashes[139]! : hash));
        expect(verifyConsistency({ ...proof, path: changed })).toBe(false);
      }),
    );
  });

  // covers: T65
  it('shows a fork: a tree whose history was changed does not extend the old one', () => {
    const forked = [...hashes];
    forked[3] = leafHash(Buffer.from('other'));
    const path = consistencyPath(10, 20).map((range) => rangeHash(range, forked));
    const proof = {
      first: 10,
      second: 20,
      path,
      firstRoot: root(10, hashes),
      secondRoot: root(20, forked),
    };
    expect(verifyConsistency(proof)).toBe(false);
  });
});
