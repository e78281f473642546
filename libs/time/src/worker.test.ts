import { describe, expect, it } from '@jest/globals';
import { FakeClock } from './clock.ts';
import { periodic } from './worker.ts';

const settle = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

function world(round: (n: number, signal: AbortSignal) => unknown) {
  const clock = new FakeClock(0);
  const starts: number[] = [];
  const errors: unknown[] = [];
  const worker = periodic({
    name: 'test.worker',
    clock,
    interval: 1_000,
    round: async (signal) => round(starts.push(clock.now()), signal),
    onError: (error) => void errors.push(error),
  });
  const advance = async (ms: number) => {
    clock.advance(ms);
    await settle();
  };
  return { worker, starts, errors, advance };
}

describe('a periodic worker', () => {
  it('runs at once and then after each interval', async () => {
    const { worker, starts, advance } = world(() => undefined);
    await worker.start();
    await settle();
    await advance(999);
    expect(starts).toEqual([0]);
    await advance(1);
    expect(starts).toEqual([0, 1_000]);
    await worker.stop();
  });

  it('lets a round say when the next one is', async () => {
    const { worker, starts, advance } = world(() => 50);
    await worker.start();
    await settle();
    await advance(50);
    expect(starts).toEqual([0, 50]);
    await worker.stop();
  });

  it('tries a failed round again, later each time, at most every five seconds', async () => {
    const { worker, starts, errors, advance } = world(() => {
      throw new Error('down');
    });
    await worker.start();
    await settle();
    for (let i = 0; i < 2_000; i++) await advance(100);
    const gaps = starts.slice(1).map((at, i) => at - (starts[i] as number));
    expect(gaps.slice(0, 8)).toEqual([200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(errors).toHaveLength(starts.length);
    await worker.stop();
  });

  it('forgets earlier failures after a good round', async () => {
    const { worker, starts, advance } = world((n) => {
      if (n !== 3) throw new Error('down');
    });
    await worker.start();
    await settle();
    for (const ms of [200, 400, 1_000, 200]) await advance(ms);
    expect(starts).toEqual([0, 200, 600, 1_600, 1_800]);
    await worker.stop();
  });

  it('is woken out of a pause, and out of the pause that a running round would take', async () => {
    let finish: () => void = () => undefined;
    const { worker, starts } = world((n) =>
      n === 2
        ? new Promise<void>((resolve) => {
            finish = resolve;
          })
        : undefined,
    );
    await worker.start();
    await settle();
    worker.wake();
    await settle();
    expect(starts).toHaveLength(2);
    worker.wake();
    finish();
    await settle();
    expect(starts).toHaveLength(3);
    await worker.stop();
  });

  it('never overlaps itself, and a stop waits for the round in flight and tells it', async () => {
    let told = false;
    let ended = false;
    const { worker, starts, advance } = world(async (_n, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      told = true;
      await settle();
      ended = true;
    });
    await worker.start();
    await advance(10_000);
    expect(starts).toHaveLength(1);
    await worker.stop();
    expect([told, ended]).toEqual([true, true]);
    await advance(10_000);
    expect(starts).toHaveLength(1);
  });

  it('can be stopped before it was started', async () => {
    await world(() => undefined).worker.stop();
  });
});
