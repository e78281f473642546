import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { combine } from 'shamir-secret-sharing';
import { numberedCustody } from '../plan/plan.ts';
import { sealShares, unsealShares } from './sealed-shares.ts';
import { decodeShare, encodeShare, type Share } from './share.ts';
import { newSplitSecret, recombine, type SplitSecret } from './split-secret.ts';

const split = (n: number, m: number, isRehearsal = false) =>
  newSplitSecret(numberedCustody(n, m), isRehearsal);

/** m of n, and some of the holders. */
const anyOf = fc
  .integer({ min: 2, max: 8 })
  .chain((n) =>
    fc.tuple(fc.constant(n), fc.integer({ min: 2, max: n }), fc.shuffledSubarray(range(n))),
  );

describe('m of n shares', () => {
  it('give the secret back, in any order, and fewer do not — covers: T64', async () => {
    await fc.assert(
      fc.asyncProperty(anyOf, async ([n, m, holders]) => {
        const { secret, shares, record } = await split(n, m);
        const typed = holders.map((i) => decodeShare(encodeShare(shares[i] as Share).join(' ')));
        if (typed.length >= m) {
          expect(await recombine(record, typed)).toEqual(secret);
          return;
        }
        await expect(recombine(record, typed)).rejects.toThrow(
          `${m} shares are needed, here are ${typed.length}.`,
        );
        // Nor does the arithmetic: it gives something else.
        if (typed.length < 2) return;
        const wrong = await combine(typed.map(({ octets }) => octets));
        expect(Buffer.from(wrong)).not.toEqual(secret);
      }),
      { numRuns: 60 },
    );
  });

  it.each<readonly [string, (own: SplitSecret) => Promise<Share[]>, string]>([
    ['one twice', async ({ shares: [a] }) => [a!, a!, a!], 'The same share was given twice.'],
    [
      'of another ceremony',
      async ({ shares: [a] }) => [a!, (await split(5, 3)).shares[1]!],
      'of another ceremony',
    ],
    [
      'forged, of the same set',
      async ({ shares: [a, b] }) => [a!, { ...b!, octets: a!.octets }],
      'This is not share 2 as it was made.',
    ],
    ['of nobody', async ({ shares: [a] }) => [{ ...a!, index: 9 }], 'This is not share 9'],
    ['of a rehearsal', async ({ shares: [a] }) => [{ ...a!, isRehearsal: true }], 'of a rehearsal'],
  ])('are refused: %s', async (_what, choose, message) => {
    const own = await split(5, 3);
    await expect(choose(own).then((shares) => recombine(own.record, shares))).rejects.toMatchObject(
      {
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(message),
      },
    );
  });

  it('are 2 to 16, 2 or more of which are needed', () => {
    for (const [n, m] of [
      [1, 1],
      [5, 1],
      [5, 6],
      [17, 2],
      [3, 2.5],
      [Number.NaN, 2],
    ] as const)
      expect(() => numberedCustody(n, m)).toThrow('--shares 5 --threshold 3');
    expect(numberedCustody(16, 16).holders).toHaveLength(16);
  });

  it('that are left are kept under the secret, and under no other', async () => {
    const { secret, shares } = await split(3, 2);
    const sealed = await sealShares(shares, secret);
    expect(await unsealShares(sealed, secret)).toEqual(shares);
    const { secret: other } = await split(3, 2);
    await expect(unsealShares(sealed, other)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const share of shares)
      for (const word of encodeShare(share).filter(({ length }) => length > 6))
        expect(sealed).not.toContain(word);
  });
});

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
