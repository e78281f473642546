import { expect, it } from '@jest/globals';
import { lengthOfTime } from './length-of-time.ts';

it.each([
  [398 * 86_400_000, '398 d'],
  [36 * 3_600_000, '1.5 d'],
  [3_600_000, '1 h'],
  [3_599_000, '60 min'],
  [90_000, '1.5 min'],
  [1_000, '1 s'],
  [500, '0.5 s'],
  [0, '0 s'],
])('says %d ms as %s', (ms, text) => {
  expect(lengthOfTime(ms)).toBe(text);
});
