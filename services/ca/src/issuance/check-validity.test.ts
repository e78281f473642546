import { describe, expect, it } from '@jest/globals';
import { checkValidity } from './check-validity.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-21T10:00:00.500Z');
const limits = { defaultValidity: 47 * DAY - 1_000, maxValidity: 90 * DAY, backdate: 3_600_000 };
const issuer = { notBefore: NOW - 10 * DAY, notAfter: NOW + 1_000 * DAY };
const FLOOR = Date.parse('2026-11-21T10:00:00Z');

describe('checkValidity', () => {
  it('lets the profile decide, in whole seconds', () => {
    expect(checkValidity({ notBefore: 0, notAfter: 0 }, limits, issuer, NOW)).toEqual({
      notBefore: FLOOR - 3_600_000,
      notAfter: FLOOR - 3_600_000 + 47 * DAY - 1_000,
    });
  });

  it('cuts a default off at both ends of a young and short-lived issuer', () => {
    const young = { notBefore: FLOOR - 5_000, notAfter: FLOOR + DAY };
    expect(checkValidity({ notBefore: 0, notAfter: 0 }, limits, young, NOW)).toEqual(young);
  });

  it('takes what is wanted within the limits', () => {
    const wanted = { notBefore: FLOOR, notAfter: FLOOR + 90 * DAY };
    expect(checkValidity(wanted, limits, issuer, NOW)).toEqual(wanted);
  });

  it('back-dates less where the whole maximum is wanted from now', () => {
    const notAfter = FLOOR + 90 * DAY;
    expect(checkValidity({ notBefore: 0, notAfter }, limits, issuer, NOW)).toEqual({
      notBefore: FLOOR,
      notAfter,
    });
    const check = () =>
      checkValidity({ notBefore: 0, notAfter: notAfter + 1_000 }, limits, issuer, NOW);
    expect(check).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it.each([
    ['too far back', FLOOR - 3_601_000, 0],
    ['longer than the profile allows', FLOOR, FLOOR + 90 * DAY + 1_000],
    ['upside down', FLOOR, FLOOR - 1_000],
    ['over already', FLOOR - 3_000_000, FLOOR - 1_000_000],
    ['starting in the future', FLOOR + 3_602_000, 0],
    ['starting after the issuer ends', FLOOR + 1_001 * DAY, 0],
  ])('refuses a validity that is %s', (_, notBefore, notAfter) => {
    const check = () => checkValidity({ notBefore, notAfter }, limits, issuer, NOW);
    expect(check).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  it('does not issue from an issuer that has expired', () => {
    const check = () =>
      checkValidity({ notBefore: 0, notAfter: 0 }, limits, { ...issuer, notAfter: NOW }, NOW);
    expect(check).toThrow(expect.objectContaining({ code: 'KEY_UNAVAILABLE' }));
  });
});
