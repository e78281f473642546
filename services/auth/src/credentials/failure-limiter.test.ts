import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { createFailureLimiter } from './failure-limiter.ts';

const fail = async () => {
  throw new GigvaultError('UNAUTHENTICATED', 'no');
};
const succeed = async () => 'in';
const LIMITED = { code: 'RATE_LIMITED' };

function setUp(failures = 2) {
  const clock = new FakeClock(0);
  return { clock, limiter: createFailureLimiter({ failures, window: 60_000 }, clock) };
}

describe('the failure limiter', () => {
  it('slides: a failure counts for one window', async () => {
    const { clock, limiter } = setUp();
    await expect(limiter.attempt('a', fail)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    clock.advance(30_000);
    await expect(limiter.attempt('a', fail)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(limiter.attempt('a', succeed)).rejects.toMatchObject({
      ...LIMITED,
      retryAfter: 30,
    });
    clock.advance(30_000);
    await expect(limiter.attempt('a', succeed)).resolves.toBe('in');
    await expect(limiter.attempt('a', fail)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(limiter.attempt('a', succeed)).rejects.toMatchObject(LIMITED);
  });

  it('does not count successes, nor outages', async () => {
    const { limiter } = setUp();
    const outage = async () => {
      throw new GigvaultError('UNAVAILABLE', 'down');
    };
    for (let i = 0; i < 5; i++) {
      await limiter.attempt('a', succeed);
      await expect(limiter.attempt('a', outage)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
    await expect(limiter.attempt('a', succeed)).resolves.toBe('in');
  });

  it('counts attempts side by side', async () => {
    const { limiter } = setUp(3);
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => limiter.attempt('a', fail)),
    );
    const codes = results.map((result) =>
      result.status === 'rejected' ? result.reason.code : 'in',
    );
    expect(codes.filter((code) => code === 'UNAUTHENTICATED')).toHaveLength(3);
    expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(7);
  });

  it('refuses nobody for what others from the same address have not finished', async () => {
    const { limiter } = setUp(3);
    let running = 0;
    let most = 0;
    const signIn = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      return 'in';
    };
    const all = Array.from({ length: 50 }, () => limiter.attempt('a', signIn));
    await expect(Promise.all(all)).resolves.toEqual(Array(50).fill('in'));
    expect(most).toBe(3);
  });

  it('takes a /64 of IPv6 for one address', async () => {
    const { limiter } = setUp(1);
    await expect(limiter.attempt('2001:db8:0:1::1', fail)).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    await expect(limiter.attempt('2001:db8:0:1:ffff::2', succeed)).rejects.toMatchObject(LIMITED);
    await expect(limiter.attempt('2001:db8:0:2::1', succeed)).resolves.toBe('in');
    await expect(limiter.attempt('::ffff:192.0.2.1', succeed)).resolves.toBe('in');
  });

  it('forgets the oldest address when there are too many', async () => {
    const { limiter } = setUp(1);
    for (let i = 0; i <= 10_000; i++) await limiter.attempt(`h${i}`, fail).catch(() => undefined);
    await expect(limiter.attempt('h0', succeed)).resolves.toBe('in');
    await expect(limiter.attempt('h10000', succeed)).rejects.toMatchObject(LIMITED);
  });
});
