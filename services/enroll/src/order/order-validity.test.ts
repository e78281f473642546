import { describe, expect, it } from '@jest/globals';
import { checkOrderValidity, lastMomentFor } from './order-validity.ts';

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const PROFILE = { backdate: HOUR, maxValidity: 90 * DAY };

const check = (notBefore: number, notAfter: number) => () =>
  checkOrderValidity({ notBefore, notAfter }, PROFILE, NOW);

describe('the wanted validity of an order', () => {
  it.each([
    ['nothing', 0, 0],
    ['an end', 0, NOW + DAY],
    ['the latest end', 0, NOW + 90 * DAY],
    ['the earliest beginning', NOW - HOUR, 0],
    ['the latest beginning, with its latest end', NOW + HOUR, NOW + HOUR + 90 * DAY],
  ])('may be %s', (_what, notBefore, notAfter) => {
    expect(check(notBefore, notAfter)).not.toThrow();
  });

  it.each([
    ['begins before the backdate', NOW - HOUR - 1, 0, /"notBefore" lies more than 1 h in the past/],
    [
      'begins later than the CA lets it',
      NOW + HOUR + 1,
      0,
      /"notBefore" lies more than 1 h in the future/,
    ],
    ['ended', 0, NOW, /"notAfter" lies in the past/],
    ['ends as it begins', NOW + HOUR, NOW + HOUR, /"notAfter" does not lie after/],
    ['ends too late', 0, NOW + 90 * DAY + 1, /90 d after now/],
    ['lasts too long', NOW - HOUR, NOW + 90 * DAY, /90 d after "notBefore"/],
  ])('is refused when it %s', (_what, notBefore, notAfter, message) => {
    expect(check(notBefore, notAfter)).toThrow(message);
    expect(check(notBefore, notAfter)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', problems: [expect.anything()] }),
    );
  });
});

describe('the last moment for a certificate with the wanted validity', () => {
  it.each([
    ['does not come when nothing is wanted', 0, 0, Number.POSITIVE_INFINITY],
    ['comes with the end', 0, NOW + DAY, NOW + DAY],
    ['comes when the beginning is out of the backdate', NOW, NOW + DAY, NOW + HOUR],
  ])('%s', (_what, notBefore, notAfter, last) => {
    expect(lastMomentFor({ notBefore, notAfter }, PROFILE)).toBe(last);
  });
});
