import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { quantile } from '../bench/statistics.ts';
import type { Load } from './load.ts';

const IN_FLIGHT = 16;
/** Of this many certificates one is revoked; every one is asked about, and an old one beside it. */
const REVOKE_EACH = 20;
const MIB = 1024 * 1024;
/** Samples are this many milliseconds apart. */
const SAMPLE = 15_000;
/** The share of the time in which caches, pools and compiled code still settle. */
const SETTLING = 0.3;
/** Milliseconds that leave two settled samples: a line needs two points. A sample is late by a step, and by its collection. */
export const SHORTEST = 4 * SAMPLE;
/** Serial numbers that the load remembers, to ask about them again. */
const REMEMBERED = 10_000;

/** What was seen at one moment. */
export interface Sample {
  readonly certificates: number;
  /** MiB after a full collection: JavaScript's heap and what it holds outside. */
  readonly live: number;
  /** MiB. */
  readonly resident: number;
  /** Milliseconds of issuing one, since the last sample. */
  readonly p50: number;
  readonly p99: number;
}

/** Runs the load for so many milliseconds. @param tell is given each sample at once */
export async function soak(
  load: Load,
  duration: number,
  tell: (sample: Sample) => void,
): Promise<Sample[]> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const samples: Sample[] = [];
  const known: string[] = [];
  let certificates = 0;
  let times: number[] = [];
  const begin = performance.now();
  let last = begin;

  async function step(): Promise<void> {
    const start = performance.now();
    const serialNumber = await load.issue();
    times.push(performance.now() - start);
    known[certificates++ % REMEMBERED] = serialNumber;
    await load.ask(serialNumber);
    await load.ask(known[(certificates * 7919) % known.length]!);
    if (certificates % REVOKE_EACH === 0) await load.revoke(serialNumber);
  }

  async function sample(): Promise<void> {
    collect();
    // What the first collection has let go of outside of the heap is freed by the second.
    await setImmediate();
    collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    times.sort((a, b) => a - b);
    const seen: Sample = {
      certificates,
      live: (heapUsed + external) / MIB,
      resident: rss / MIB,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
    };
    times = [];
    samples.push(seen);
    tell(seen);
  }

  const client = async () => {
    while (performance.now() - begin < duration) {
      await step();
      if (performance.now() - last < SAMPLE) continue;
      last = performance.now();
      await sample();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  return samples;
}

/** MiB for each 100,000 certificates, by least squares, after the settling. */
export function slope(samples: readonly Sample[], of: 'live' | 'resident'): number {
  const settled = samples.slice(Math.ceil(samples.length * SETTLING));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const x = mean(settled.map(({ certificates }) => certificates));
  const y = mean(settled.map((one) => one[of]));
  const rise = settled.map((one) => (one.certificates - x) * (one[of] - y));
  const run = settled.map((one) => (one.certificates - x) ** 2);
  return (mean(rise) / mean(run)) * 100_000;
}
