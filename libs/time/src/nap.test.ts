import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './clock.ts';
import { nap } from './nap.ts';

describe('nap', () => {
  it.each([
    ['its time is over', (clock: FakeClock) => clock.advance(100)],
    ['it is woken', (_clock: FakeClock, wake: () => void) => wake()],
  ])('ends when %s, and hears nothing after', async (_when, end) => {
    const clock = new FakeClock(0);
    const listening = new Set<() => void>();
    let over = false;
    const napping = nap(clock, 100, (wake) => {
      listening.add(wake);
      return () => listening.delete(wake);
    }).then(() => {
      over = true;
    });
    clock.advance(99);
    await Promise.resolve();
    expect(over).toBe(false);
    const [wake = () => undefined] = listening;
    end(clock, wake);
    await napping;
    expect(listening.size).toBe(0);
  });
});
