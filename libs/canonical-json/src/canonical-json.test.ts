import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.ts';

describe('canonicalJson', () => {
  it('sorts keys at every depth and puts no spaces', () => {
    expect(canonicalJson({ b: [{ z: 1, a: 'x' }], a: null, c: undefined })).toBe(
      '{"a":null,"b":[{"a":"x","z":1}]}',
    );
  });

  it('sorts keys that look like numbers as text (RFC 8785 §3.2.3)', () => {
    expect(canonicalJson({ 9: 1, 10: 2, '\u20ac': 3, '\r': 4, '\ud83d\ude00': 5 })).toBe(
      '{"\\r":4,"10":2,"9":1,"\u20ac":3,"\ud83d\ude00":5}',
    );
  });

  it('says the same of the same value, whatever the order of its keys, and reads back', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const shuffled = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(shuffled)).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('refuses what JSON cannot say', () => {
    expect(() => canonicalJson({ a: 1n })).toThrow(TypeError);
    expect(() => canonicalJson({ a: Number.NaN })).toThrow(TypeError);
  });
});
