import { describe, expect, it } from '@jest/globals';
import { generationOf, generationSubject } from './ca-generation.ts';
import { encodeName } from './name.ts';

const named = (value: string) => [
  { type: 'O', value: 'Example' },
  { type: 'CN', value },
];

describe('the subject of a CA by its generation', () => {
  it.each([
    ['Example CA', 1, 'Example CA'],
    ['Example CA', 2, 'Example CA G2'],
    ['Example CA G1', 2, 'Example CA G2'],
    ['Example CA G1', 1, 'Example CA G1'],
    ['é'.repeat(64), 17, `${'é'.repeat(60)} G17`],
  ])('%s, %i: %s', (first, generation, commonName) => {
    const subject = generationSubject(named(first), generation);
    expect(subject).toEqual(named(commonName));
    expect(generationOf(named(first), encodeName(subject))).toBe(generation);
  });

  it('is no other CA’s, and no generation that there is not', () => {
    const of = (commonName: string) =>
      generationOf(named('Example CA'), encodeName(named(commonName)));
    expect(of('Another CA G2')).toBeUndefined();
    expect(of('Example CA G02')).toBeUndefined();
    expect(of('Example CA G1')).toBeUndefined();
    expect(of('Example CA G1000')).toBeUndefined();
    expect(
      generationOf(named('Example CA'), encodeName([{ type: 'CN', value: 'Example CA' }])),
    ).toBeUndefined();
  });
});
