import { describe, expect, it } from '@jest/globals';
import { ERROR_TABLE, type ErrorCode, publicErrorCode } from './error-table.ts';
import {
  asGigvaultError,
  fromErrorRecord,
  GigvaultError,
  toErrorRecord,
} from './gigvault-error.ts';

const CODES = Object.keys(ERROR_TABLE) as ErrorCode[];

describe('the error table', () => {
  it.each(CODES)('%s has an answer for every transport', (code) => {
    const row = ERROR_TABLE[code];
    expect(row.http).toBeGreaterThanOrEqual(400);
    expect(row.http).toBeLessThan(600);
    expect(row.grpc).toBeGreaterThan(0);
    expect(row.grpc).toBeLessThanOrEqual(16);
    expect(row.acme).toMatch(/^[a-zA-Z]+$/);
    expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).toContain(row.exit);
    expect(row.title).toMatch(/^[A-Z].*[^.]$/);
    expect(publicErrorCode(code)).toMatch(/^GV-[A-Z-]+$/);
  });

  it('names its rows in order, so that a new one has one place', () => {
    expect(CODES).toEqual([...CODES].sort());
  });

  it('gives every error that may succeed later a time to retry, and no other', () => {
    for (const code of CODES) {
      expect(new GigvaultError(code, 'x').retryAfter !== undefined).toBe(ERROR_TABLE[code].retry);
    }
  });
});

describe('an error', () => {
  it('travels as data and comes back the same', () => {
    const error = new GigvaultError('BAD_CSR', 'no', {
      details: { size: 3 },
      problems: [{ pointer: '/a', message: 'b' }],
      retryAfter: 7,
    });
    const back = fromErrorRecord(JSON.parse(JSON.stringify(toErrorRecord(error))));
    expect(back).toMatchObject({
      code: 'BAD_CSR',
      message: 'no',
      details: { size: 3 },
      problems: [{ pointer: '/a', message: 'b' }],
      retryAfter: 7,
    });
  });

  it('that is not ours leaves without its text', () => {
    const ours = asGigvaultError(new Error('password is hunter2'));
    expect(JSON.stringify(toErrorRecord(ours))).not.toContain('hunter2');
    expect(ours.code).toBe('INTERNAL');
  });

  it('with a code of a newer version becomes INTERNAL', () => {
    expect(fromErrorRecord({ code: 'FROM_THE_FUTURE', message: 'x' }).code).toBe('INTERNAL');
  });
});
