import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fuzz } from '../fuzz/json.ts';
import { parseForm } from './form.ts';
import { parseJson } from './json.ts';

/** Milliseconds, with room for a busy machine; quadratic time takes a hundred times as long. */
const AT_ONCE = 500;

describe('parseJson', () => {
  it('reads what JSON.parse reads, for every value that loses nothing — covers: T70', () => {
    const value = fc
      .jsonValue({ maxDepth: 6, stringUnit: 'grapheme', noUnicodeString: false } as never)
      .map((made) => JSON.stringify(made))
      .filter((text) => !/__proto__|\\u0000|[eE]|\d{16}/.test(text));
    fc.assert(
      fc.property(value, (text) => expect(parseJson(Buffer.from(text))).toEqual(JSON.parse(text))),
    );
  });

  it('throws INVALID_ARGUMENT and nothing else for any bytes — covers: T70', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', '"', '\\', '\\u00', ':', ',', '1', 'a', ' ');
    const bytes = fc.oneof(
      fc.uint8Array().map((octets) => Buffer.from(octets)),
      fc.array(piece).map((pieces) => Buffer.from(pieces.join(''))),
    );
    fc.assert(fc.property(bytes, fuzz), { numRuns: 500 });
  });

  it.each([
    ['escaped quotes without an end', `"${'\\"'.repeat(49_000)}`],
    ['escaped quotes and a backslash at the end', `"${'\\"'.repeat(49_000)}\\`],
    ['quotes', '"'.repeat(99_000)],
    ['backslashes', `"${'\\'.repeat(99_000)}`],
    ['colons and blanks', `"a"${' '.repeat(99_000)}x`],
    ['keys', `{${Array.from({ length: 9_000 }, (_, i) => `"${i}":1`).join(',')},}`],
  ])('refuses 100 kB of %s at once — covers: T71, T72', (_what, text) => {
    const begin = performance.now();
    expect(() => parseJson(Buffer.from(text))).toThrow(GigvaultError);
    expect(performance.now() - begin).toBeLessThan(AT_ONCE);
  });

  it('forms are read back, and one that names a field twice is refused', () => {
    const fields = fc.dictionary(
      fc.string({ unit: 'grapheme', minLength: 1 }),
      fc.string({ minLength: 1 }),
    );
    fc.assert(
      fc.property(fields, (made) => {
        const form = Buffer.from(new URLSearchParams(made).toString());
        expect(Object.entries(parseForm(form)).sort()).toEqual(Object.entries(made).sort());
      }),
    );
    expect(() => parseForm(Buffer.from('a=1&a=2'))).toThrow(GigvaultError);
  });
});
