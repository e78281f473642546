import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './clock.ts';
import { createClockGuard } from './clock-guard.ts';

const HOUR = 3_600_000;

describe('the clock guard', () => {
  it.each([
    [0, true],
    [1_000, true],
    [-1_000, true],
    [60_000, true],
    [-60_000, true],
    [61_000, false],
    [-61_000, false],
    [HOUR, false],
    [-HOUR, false],
  ])('with the clock set by %i ms lets sign: %s — covers: T15', (ms, signs) => {
    const clock = new FakeClock('2026-12-31T23:59:59Z');
    const guard = createClockGuard(clock);
    clock.step(ms);
    expect(guard.moved()).toBe(ms);
    expect(guard.isRight()).toBe(signs);
    expect(guard.believed()).toBe(signs ? clock.now() : clock.now() - ms);
    if (signs) expect([guard.check(), guard.now()]).toEqual([undefined, clock.now()]);
    else
      for (const ask of [guard.check, guard.now])
        expect(ask).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });

  it('lets sign again once the clock is back, however long that took — covers: T15', () => {
    const clock = new FakeClock(0);
    const guard = createClockGuard(clock);
    clock.step(HOUR);
    clock.advance(3 * HOUR);
    expect(() => guard.check()).toThrow('set');
    clock.step(-HOUR);
    guard.check();
    expect(guard.moved()).toBe(0);
  });

  it('adds up small steps, and does not mind time that passes — covers: T15', () => {
    const clock = new FakeClock(0);
    const guard = createClockGuard(clock);
    for (let day = 0; day < 60; day++) {
      guard.check();
      clock.advance(24 * HOUR);
      clock.step(1_001);
    }
    expect(() => guard.check()).toThrow('set');
  });
});
