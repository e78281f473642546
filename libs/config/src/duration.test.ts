import { expect, it } from '@jest/globals';
import { duration, positiveDuration } from './duration.ts';

it.each([
  ['10s', 10_000],
  ['30m', 1_800_000],
  ['12h', 43_200_000],
  ['47d', 4_060_800_000],
  ['0s', 0],
])('reads %s as %d ms', (text, ms) => {
  expect(duration.parse(text)).toBe(ms);
});

it.each(['', '10', '1w', '-1d', '1.5h', '10 s', '1234567s', '1d2h', 'd'])(
  'refuses "%s"',
  (text) => {
    expect(duration.safeParse(text).success).toBe(false);
  },
);

it('refuses nothing where there must be something', () => {
  expect(positiveDuration.safeParse('0d').success).toBe(false);
  expect(positiveDuration.parse('1d')).toBe(86_400_000);
});
