import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './clock.ts';
import { within } from './within.ts';

describe('a limit', () => {
  it('lets through what comes in time, good or bad', async () => {
    const clock = new FakeClock(0);
    expect(await within(clock, 10, Promise.resolve('done'), 'late')).toBe('done');
    await expect(within(clock, 10, Promise.reject(new Error('bad')), 'late')).rejects.toThrow(
      'bad',
    );
  });

  it('is an error for what does not, however that ends later', async () => {
    const clock = new FakeClock(0);
    const { promise, reject } = Promise.withResolvers<never>();
    const waiting = within(clock, 10, promise, 'it took too long');
    clock.advance(10);
    await expect(waiting).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: 'it took too long',
    });
    // Heard by nobody, and yet no unhandled rejection, which would fail this test.
    reject(new Error('too late'));
    await new Promise(setImmediate);
  });
});
