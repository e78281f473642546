import { expect, it } from '@jest/globals';
import { duration, durationBetween, positiveDuration } from './duration.ts';

it.each([
  ['500ms', 500],
  ['10s', 10_000],
  ['30m', 1_800_000],
  ['12h', 43_200_000],
  ['47d', 4_060_800_000],
  ['0s', 0],
])('reads %s as %d ms', (text, ms) => {
  expect(duration.parse(text)).toBe(ms);
});

it.each(['', '10', '1w', '-1d', '1.5h', '10 s', '1234567890s', '1d2h', 'd'])(
  'refuses "%s"',
  (text) => {
    expect(duration.safeParse(text).success).toBe(false);
  },
);

it('refuses nothing where there must be something', () => {
  expect(positiveDuration.safeParse('0d').success).toBe(false);
  expect(positiveDuration.parse('1d')).toBe(86_400_000);
});

it('refuses what is out of bounds, and says them', () => {
  const schema = durationBetween('1m', '1h');
  expect([schema.parse('1m'), schema.parse('3600s')]).toEqual([60_000, 3_600_000]);
  for (const text of ['59s', '61m'])
    expect(schema.safeParse(text).error?.issues[0]?.message).toMatch(/from 1m to 1h$/);
});

it('asks for the unit of a bare number, also of one that is no text', () => {
  for (const value of ['900', 900])
    expect(duration.safeParse(value).error?.issues[0]?.message).toMatch(
      /unit is missing, as in "900s"/,
    );
});
