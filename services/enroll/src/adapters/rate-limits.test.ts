import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { rateLimits } from './rate-limits.ts';

const MINUTE = 60_000;

describe('rate limits', () => {
  const clock = new FakeClock('2027-01-01T00:00:00Z');
  const limits = rateLimits({ newAccounts: 2, changes: 3 }, clock);
  const refused = (retryAfter: number) =>
    expect.objectContaining({ code: 'RATE_LIMITED', retryAfter });

  it('give each address its accounts of an hour, and tell when the next is due', () => {
    limits.newAccount('192.0.2.1');
    limits.newAccount('192.0.2.1');
    expect(() => limits.newAccount('192.0.2.1')).toThrow(refused(1800));
    limits.newAccount('192.0.2.2');
    clock.advance(30 * MINUTE);
    limits.newAccount('192.0.2.1');
    expect(() => limits.newAccount('192.0.2.1')).toThrow(refused(1800));
  });

  it('take the /64 of IPv6 for one client', () => {
    limits.newAccount('2001:db8::1');
    limits.newAccount('2001:db8::2');
    expect(() => limits.newAccount('2001:db8::3')).toThrow(refused(1800));
    limits.newAccount('2001:db8:0:1::3');
  });

  it('count the changes of each account', () => {
    for (let i = 0; i < 3; i++) limits.change('a');
    expect(() => limits.change('a')).toThrow(refused(1200));
    limits.change('b');
  });
});
