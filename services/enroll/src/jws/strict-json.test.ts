import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseStrictJsonObject } from './strict-json.ts';

const parse = (text: string | Buffer) => parseStrictJsonObject(Buffer.from(text as string), 'It');

describe('parseStrictJsonObject', () => {
  it('reads what JSON.parse reads, for every object without repeats', () => {
    const safe = fc
      .dictionary(
        fc.string({ unit: 'binary' }),
        fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }),
      )
      .filter((value) => !JSON.stringify(value).includes('__proto__'));
    fc.assert(
      fc.property(safe, (value) => {
        const text = JSON.stringify(value);
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['a member twice', '{"alg":"a","alg":"b"}'],
    ['a member twice, once escaped', '{"alg":"a","\\u0061lg":"b"}'],
    ['a member twice, deeper', '{"a":[{"b":1,"c":{},"b":2}]}'],
    ['__proto__', '{"a":{"__proto__":{}}}'],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['17 levels', `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`],
    ['a million levels', `{"a":${'['.repeat(1e6)}`],
    ['an array', '[]'],
    ['null', 'null'],
    ['nothing', ''],
    ['a byte order mark', '\ufeff{}'],
    ['something after it', '{} {}'],
    ['an open string', '{"a'],
  ])('refuses %s — covers: T70', (_what, text) => {
    expect(() => parse(text)).toThrow('It is not acceptable JSON.');
  });

  it('refuses what is not UTF-8', () => {
    expect(() => parse(Buffer.from('7b2261223a22ff227d', 'hex'))).toThrow(
      'It is not acceptable JSON.',
    );
  });

  it('takes the same name in different objects, and brackets within strings', () => {
    expect(parse('{"a":{"b":1},"c":{"b":2},"d":"[[[[[[[[[[[[[[[[[[[[[","e":"a"}')).toMatchObject({
      c: { b: 2 },
    });
  });
});
