import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { types } from 'pg';
import { arrayParser, pgParser } from './array-parsers.ts';

const BYTEA = 1001;
const TEXT = 1009;

/** As PostgreSQL writes an element (array_out). */
const quoted = (element: string) => `"${element.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
const written = (element: string | null) => {
  if (element === null) return 'NULL';
  return element === '' || /["\\{},\s]/.test(element) || /^null$/i.test(element)
    ? quoted(element)
    : element;
};

describe('arrayParser', () => {
  it('reads texts as pg does', () => {
    const element = fc.option(fc.oneof(fc.string(), fc.constantFrom('null', 'NULL', 'a"b', '{}')));
    fc.assert(
      fc.property(fc.array(element), (elements) => {
        const text = `{${elements.map(written).join(',')}}`;
        expect(arrayParser(TEXT)?.(text)).toEqual(elements);
        expect(arrayParser(TEXT)?.(text)).toEqual(pgParser(TEXT)(text));
      }),
    );
  });

  it('reads octets as pg does', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.uint8Array())), (elements) => {
        const hex = elements.map((each) => each && Buffer.from(each).toString('hex'));
        const text = `{${hex.map((each) => (each === null ? 'NULL' : quoted(`\\x${each}`))).join(',')}}`;
        const read = arrayParser(BYTEA)?.(text);
        expect(read).toEqual(elements.map((each) => each && Buffer.from(each)));
        expect(read).toEqual(pgParser(BYTEA)(text));
      }),
    );
  });

  it('leaves octets to pg that are written another way', () => {
    const escaped = String.raw`{"\\001","ab\\377c"}`;
    expect(arrayParser(BYTEA)?.(escaped)).toEqual(pgParser(BYTEA)(escaped));
    expect(arrayParser(BYTEA)?.(escaped)).toEqual([Buffer.of(1), Buffer.from('ab\xffc', 'latin1')]);
  });

  it('leaves arrays of arrays to pg, and knows no other type', () => {
    expect(arrayParser(TEXT)?.('{{a,b},{c,d}}')).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(arrayParser(types.builtins.TEXT)).toBeUndefined();
  });
});
