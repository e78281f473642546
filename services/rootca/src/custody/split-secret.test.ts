import { hkdfSync } from 'node:crypto';
import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { combine } from 'shamir-secret-sharing';
import { numberedCustody } from '../plan/plan.ts';
import { sharesOfFiles } from './collect-shares.ts';
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

describe('what secrets and shares were in', () => {
  /** Octets, hex, that were overwritten meanwhile. */
  async function wiped(during: () => Promise<unknown>): Promise<string[]> {
    const contents: string[] = [];
    for (const prototype of [Uint8Array.prototype, Buffer.prototype]) {
      const { fill } = prototype;
      jest.spyOn(prototype, 'fill').mockImplementation(function (this: Uint8Array, ...what) {
        contents.push(Buffer.from(this).toString('hex'));
        return fill.apply(this, what) as never;
      });
    }
    await during().finally(() => jest.restoreAllMocks());
    return contents;
  }

  const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex');

  it('is overwritten: the copy that was split — covers: T66', async () => {
    let secret = '';
    const contents = await wiped(async () => {
      secret = hex((await split(3, 2)).secret);
    });
    expect(contents).toContain(secret);
  });

  it('is overwritten: all that was sealed and opened, with its key — covers: T66', async () => {
    const { secret, shares } = await split(3, 2);
    const words = shares.map((share) => encodeShare(share).join(' '));
    const plaintext = hex(Buffer.from(JSON.stringify(words)));
    const key = hex(
      new Uint8Array(hkdfSync('sha256', secret, '', 'GigVault ceremony shares v1', 32)),
    );
    let sealed = '';
    const sealing = await wiped(async () => {
      sealed = await sealShares(shares, secret);
    });
    expect(sealing).toEqual(expect.arrayContaining([plaintext, key]));
    const opening = await wiped(() => unsealShares(sealed, secret));
    expect(opening).toEqual(expect.arrayContaining([plaintext, key]));
  });

  it('is overwritten: a share that was refused — covers: T66', async () => {
    const { shares, record } = await split(3, 2);
    const other = (await split(3, 2)).shares[0] as Share;
    const files = [shares[0] as Share, other].map((share, i) => ({
      path: `share.${i}`,
      text: encodeShare(share).join(' '),
    }));
    const contents = await wiped(async () => {
      await expect(sharesOfFiles(record, files)).rejects.toThrow('of another ceremony');
    });
    expect(contents).toEqual(
      expect.arrayContaining([hex((shares[0] as Share).octets), hex(other.octets)]),
    );
  });
});

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
