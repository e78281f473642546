import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LEAVES, ROOTS } from '../test/vectors.ts';
import { consistencyPath, inclusionPath, verifyConsistency, verifyInclusion } from './proof.ts';
import {
  EMPTY_FRONTIER,
  EMPTY_ROOT,
  extendTree,
  type LeafRange,
  leafHash,
  rootOf,
} from './tree.ts';

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

/** PATH and PROOF as RFC 6962 §2.1.1 and §2.1.2 define them, word for word; `d` are leaf hashes. */
const largestPowerBelow = (n: number): number => {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
};
const mth = (d: readonly Buffer[]): Buffer => rangeHash({ start: 0, end: d.length }, d);

function path(m: number, d: readonly Buffer[]): Buffer[] {
  if (d.length === 1) return [];
  const k = largestPowerBelow(d.length);
  const [left, right] = [d.slice(0, k), d.slice(k)];
  return m < k ? [...path(m, left), mth(right)] : [...path(m - k, right), mth(left)];
}

function subproof(m: number, d: readonly Buffer[], isWhole: boolean): Buffer[] {
  if (m === d.length) return isWhole ? [] : [mth(d)];
  const k = largestPowerBelow(d.length);
  const [left, right] = [d.slice(0, k), d.slice(k)];
  return m <= k
    ? [...subproof(m, left, isWhole), mth(right)]
    : [...subproof(m - k, right, false), mth(left)];
}

// covers: T65
describe('every proof of a small tree', () => {
  const MOST = 20;
  const hashes = Array.from({ length: MOST }, (_, i) => leafHash(Buffer.from(`leaf ${i}`)));
  const flipped = (hash: Buffer, bit: number): Buffer => {
    const other = Buffer.from(hash);
    other[bit >> 3]! ^= 1 << (bit & 7);
    return other;
  };
  /** One bit of each hash, another one each time. */
  let bit = 0;
  const changed = (hash: Buffer) => {
    bit = (bit + 37) % 256;
    return flipped(hash, bit);
  };
  const withOneChanged = (all: readonly Buffer[]) => all.map((h, i) => all.with(i, changed(h)));
  const pairs = Array.from({ length: MOST }, (_, size) => size + 1).flatMap((size) =>
    Array.from({ length: size }, (_, n) => [n, size] as const),
  );

  it('of a leaf is that of RFC 6962 §2.1.1, verifies, and does not with any hash changed by a bit', () => {
    for (const [leafIndex, size] of pairs) {
      const expected = path(leafIndex, hashes.slice(0, size));
      expect(inclusionPath(leafIndex, size).map((range) => rangeHash(range, hashes))).toEqual(
        expected,
      );
      const leaf = hashes[leafIndex]!;
      const proof = { leafHash: leaf, leafIndex, size, path: expected, root: root(size, hashes) };
      expect(verifyInclusion(proof)).toBe(true);
      const forged = [
        { ...proof, leafHash: changed(leaf) },
        { ...proof, root: changed(proof.root) },
        ...withOneChanged(expected).map((other) => ({ ...proof, path: other })),
        ...pairs
          .filter(([index, of]) => of === size && index !== leafIndex)
          .map(([index]) => ({ ...proof, leafIndex: index })),
      ];
      for (const other of forged) expect(verifyInclusion(other)).toBe(false);
    }
  });

  it('of a prefix is that of RFC 6962 §2.1.2, verifies, and does not with any hash changed by a bit', () => {
    for (const [first, second] of [...pairs, ...pairs.map(([, size]) => [size, size] as const)]) {
      const expected = first === 0 ? [] : subproof(first, hashes.slice(0, second), true);
      expect(consistencyPath(first, second).map((range) => rangeHash(range, hashes))).toEqual(
        expected,
      );
      const [firstRoot, secondRoot] = [root(first, hashes), root(second, hashes)];
      const proof = { first, second, firstRoot, secondRoot, path: expected };
      expect(verifyConsistency(proof)).toBe(true);
      const forged = [
        { ...proof, firstRoot: changed(firstRoot) },
        // Every tree extends the empty one.
        ...(first === 0 ? [] : [{ ...proof, secondRoot: changed(secondRoot) }]),
        ...withOneChanged(expected).map((other) => ({ ...proof, path: other })),
        { ...proof, path: [...expected, hashes[0]!] },
      ];
      for (const other of forged) expect(verifyConsistency(other)).toBe(false);
    }
  });

  it('is refused, and nothing is thrown, for any numbers and hashes', () => {
    const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(2 ** 53, 2 ** 60));
    const hash = fc.uint8Array({ maxLength: 33 }).map((octets) => Buffer.from(octets));
    const some = fc.array(hash, { maxLength: 70 });
    fc.assert(
      fc.property(number, number, hash, hash, some, (a, b, one, two, hashesOfPath) => {
        const inclusion = { leafIndex: a, size: b, leafHash: one, root: two, path: hashesOfPath };
        expect(verifyInclusion(inclusion)).toBe(
          b === 1 && a === 0 && one.equals(two) && hashesOfPath.length === 0,
        );
        const consistency = {
          first: a,
          second: b,
          firstRoot: one,
          secondRoot: two,
          path: hashesOfPath,
        };
        const same = a === b && Number.isSafeInteger(a) && a >= 0 && one.equals(two);
        const fromEmpty = a === 0 && b > 0 && one.equals(EMPTY_ROOT);
        expect(verifyConsistency(consistency)).toBe(
          (same || fromEmpty) && hashesOfPath.length === 0,
        );
      }),
    );
  });
});
