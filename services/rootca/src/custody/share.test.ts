import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeShare, encodeShare, type Share, shareProblem } from './share.ts';

const share: Share = {
  isRehearsal: false,
  setId: '0a1b2c3d',
  threshold: 3,
  index: 2,
  octets: new Uint8Array(randomBytes(33)),
};
const words = encodeShare(share);

/** What decoding says of the words after a change. */
function said(change: (words: string[]) => string[]): string {
  try {
    decodeShare(change([...words]).join(' '));
    return 'nothing';
  } catch (error) {
    return shareProblem(error);
  }
}

describe('a share in words', () => {
  it('is 32 words, and comes back as it was, whatever it holds', () => {
    fc.assert(
      fc.property(
        fc.record({
          isRehearsal: fc.boolean(),
          setId: fc
            .uint8Array({ minLength: 4, maxLength: 4 })
            .map((it) => Buffer.from(it).toString('hex')),
          threshold: fc.integer({ min: 2, max: 255 }),
          index: fc.integer({ min: 1, max: 255 }),
          octets: fc.uint8Array({ minLength: 33, maxLength: 33 }),
        }),
        (any) => {
          const encoded = encodeShare(any);
          expect(encoded).toHaveLength(32);
          expect(decodeShare(encoded.join(' '))).toEqual(any);
        },
      ),
    );
  });

  it('may be typed as people type: numbers, lines, capitals, four letters of a word', () => {
    const numbered = words.map((word, i) => `${i + 1}. ${word.toUpperCase()}`).join('\n');
    expect(decodeShare(numbered)).toEqual(share);
    expect(decodeShare(words.map((word) => word.slice(0, 4)).join(','))).toEqual(share);
  });

  it('says which word is not in the list, and what it may be', () => {
    const changed = said((all) => all.with(6, 'abandn'));
    expect(changed).toBe('Word 7 is not in the list. It is "abandn". Did you mean "abandon"?');
    expect(said((all) => all.with(0, 'x'.repeat(99)))).toMatch(
      /^Word 1 is not in the list\. It is "x{20}…"/,
    );
  });

  it('says how many words there are when some are missing or too many', () => {
    expect(said((all) => all.slice(1))).toBe('A share has 32 words, here are 31.');
    expect(said((all) => [...all, 'abandon'])).toBe('A share has 32 words, here are 33.');
    expect(said(() => [])).toBe('A share has 32 words, here are 0.');
  });

  it('is refused when one word is another of the list, or two are swapped', () => {
    const other = words[3] === 'zoo' ? 'zone' : 'zoo';
    expect(said((all) => all.with(3, other))).toMatch('do not belong together');
    const i = words.findIndex((word, at) => word !== words[at + 1]);
    const swapped = said((all) =>
      all.with(i, words[i + 1] as string).with(i + 1, words[i] as string),
    );
    expect(swapped).toMatch('do not belong together');
  });

  it('never throws anything but an error of the house', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        expect(() => decodeShare(text)).toThrow(
          expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
        );
      }),
    );
  });
});
