import type { CpuMeter } from './cpu.ts';
import { type Round, roundOf } from './measurement.ts';

/** Keeps `concurrency` operations in flight for `ms`: each client begins its next when its last is done. */
export async function closedLoop(
  operation: () => Promise<void>,
  concurrency: number,
  ms: number,
  cpu: CpuMeter,
): Promise<Round> {
  const times: number[] = [];
  const used = cpu();
  const begin = performance.now();
  const client = async () => {
    while (performance.now() - begin < ms) {
      const start = performance.now();
      await operation();
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  const seconds = (performance.now() - begin) / 1000;
  return roundOf(times, seconds, used());
}
