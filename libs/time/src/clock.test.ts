import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { FakeClock, systemClock } from './clock.ts';

describe('the machine’s clock', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

  it('wakes after the time, and not before', async () => {
    jest.useFakeTimers();
    const woken = jest.fn();
    const sleep = systemClock.sleep(1_000).then(woken);
    await jest.advanceTimersByTimeAsync(999);
    expect(woken).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(1);
    await sleep;
    expect(woken).toHaveBeenCalled();
  });

  it('can sleep longer than a timer of Node', async () => {
    jest.useFakeTimers();
    const woken = jest.fn();
    const sleep = systemClock.sleep(90 * 86_400_000).then(woken);
    await jest.advanceTimersByTimeAsync(89 * 86_400_000);
    expect(woken).not.toHaveBeenCalled();
    await jest.advanceTimersByTimeAsync(86_400_000);
    await sleep;
  });

  it('gives up at once when told, with the reason', async () => {
    const given = new AbortController();
    const sleep = systemClock.sleep(60_000, given.signal);
    given.abort(new Error('stopping'));
    await expect(sleep).rejects.toThrow('stopping');
    await expect(systemClock.sleep(60_000, given.signal)).rejects.toThrow('stopping');
  });
});

describe('a fake clock', () => {
  it('wakes sleepers in order when it is moved, and only those whose time has come', async () => {
    const clock = new FakeClock('2026-01-01T00:00:00Z');
    const order: string[] = [];
    const sleeps = [
      clock.sleep(20).then(() => order.push('b')),
      clock.sleep(10).then(() => order.push('a')),
    ];
    const later = clock.sleep(30).then(() => order.push('c'));
    clock.advance(25);
    await Promise.all(sleeps);
    expect(order).toEqual(['a', 'b']);
    expect(clock.now()).toBe(Date.parse('2026-01-01T00:00:00.025Z'));
    clock.advance(5);
    await later;
  });

  it('can be set, which is no time that passes', async () => {
    const clock = new FakeClock(1_000_000);
    const woken = jest.fn();
    const sleep = clock.sleep(10).then(woken);
    clock.step(-500);
    expect([clock.now(), clock.elapsed()]).toEqual([999_500, 0]);
    clock.advance(9);
    await Promise.resolve();
    expect(woken).not.toHaveBeenCalled();
    clock.advance(1);
    await sleep;
    expect([clock.now(), clock.elapsed()]).toEqual([999_510, 10]);
  });

  it('forgets a sleeper that gave up', async () => {
    const clock = new FakeClock(0);
    const given = new AbortController();
    const sleep = clock.sleep(10, given.signal);
    given.abort(new Error('enough'));
    await expect(sleep).rejects.toThrow('enough');
    clock.advance(10);
  });
});
