import type { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { createAdmission } from './admission.ts';

const BUSY = expect.objectContaining({ code: 'UNAVAILABLE' });

describe('admission (covers: T20)', () => {
  it('turns new orders away before it turns away those that have begun', () => {
    const admission = createAdmission({ all: 4, beginnings: 2 });
    const leave = [
      admission.enter('POST', '/acme/new-order'),
      admission.enter('POST', '/acme/new-account'),
    ];
    expect(() => admission.enter('POST', '/acme/new-order')).toThrow(BUSY);
    leave.push(admission.enter('POST', '/acme/order/1/finalize'));
    leave.push(admission.enter('GET', '/acme/new-nonce'));
    expect(() => admission.enter('POST', '/acme/order/2/finalize')).toThrow(BUSY);
    admission.enter('GET', '/ready');
    for (const one of leave) one();
    admission.enter('POST', '/acme/new-order');
  });

  it('counts an answer once, however often it is told', () => {
    const admission = createAdmission({ all: 1, beginnings: 1 });
    const leave = admission.enter('GET', '/a');
    leave();
    leave();
    admission.enter('GET', '/a');
    expect(() => admission.enter('GET', '/a')).toThrow(BUSY);
  });

  it('says when to come back, not the same to all', () => {
    const admission = createAdmission({ all: 0, beginnings: 0 });
    const said = Array.from({ length: 8 }, () => {
      try {
        admission.enter('GET', '/a');
      } catch (error) {
        return (error as GigvaultError).retryAfter;
      }
      return undefined;
    });
    expect(said).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  });
});
