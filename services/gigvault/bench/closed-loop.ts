import type { CpuMeter } from './cpu.ts';
import { type Round, roundOf } from './measurement.ts';

/**
 * Keeps `clients` operations in flight for `ms`: each client begins its next when its last is done.
 * Returns the milliseconds of each operation, and the time in which all of them would have been done at the clients' own rates: without the
 * end, when a few finish and the others are gone. Rejects with the first error of an operation.
 */
export async function closedLoop(
  operation: (client: number) => Promise<void>,
  clients: number,
  ms: number,
): Promise<{ readonly times: readonly number[]; readonly seconds: number }> {
  const times: number[] = [];
  let rate = 0;
  const begin = performance.now();
  const run = async (client: number) => {
    let done = 0;
    for (; performance.now() - begin < ms; done++) {
      const start = performance.now();
      await operation(client);
      times.push(performance.now() - start);
    }
    rate += done / (performance.now() - begin);
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => run(client)));
  return { times, seconds: times.length / rate / 1000 };
}

/** A round of that in this process. */
export async function closedLoopRound(
  operation: (client: number) => Promise<void>,
  clients: number,
  ms: number,
  cpu: CpuMeter,
): Promise<Round> {
  const used = cpu();
  const { times, seconds } = await closedLoop(operation, clients, ms);
  return roundOf(times, seconds, used());
}
