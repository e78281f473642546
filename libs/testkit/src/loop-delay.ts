import { monitorEventLoopDelay } from 'node:perf_hooks';

/** How many times this process's loop turns while `run` runs. */
export async function loopTurns(run: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let counting = true;
  const count = () => {
    turns++;
    if (counting) setImmediate(count);
  };
  count();
  await run();
  counting = false;
  return turns;
}

/** Milliseconds that the loop may be late, 99 of 100 times, whatever is computed meanwhile (fault T72). */
export const LOOP_DELAY_P99 = 20;

const ROUNDS = 3;

/**
 * The milliseconds by which this process's loop is late at most, 99 of 100 times, while `run` runs. The best of three rounds, since other
 * programs take the cores away now and then; a round that is good enough is the last.
 */
export async function loopDelayP99(run: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS && best >= LOOP_DELAY_P99; round++) {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    await run();
    delay.disable();
    if (delay.count < 20) throw new Error(`over too soon: ${delay.count} looks at the loop`);
    best = Math.min(best, delay.percentile(99) / 1e6);
  }
  return best;
}
