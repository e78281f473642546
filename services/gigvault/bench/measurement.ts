import { median, quantile } from './statistics.ts';

/** How well one kind of work went: one row of the table, and one of `measurements` in the JSON. */
export interface Measurement {
  /** What was done, as `ACME http-01, one process`. */
  readonly work: string;
  /** Of `value`; what is better follows from it. */
  readonly unit: Unit;
  /** The median of the rounds. */
  readonly value: number;
  /** CPU microseconds an operation, by whom. */
  readonly cpu?: CpuShares;
  /** Milliseconds, as one client sees them. */
  readonly p50?: number;
  readonly p99?: number;
  /** Operations in flight. */
  readonly concurrency?: number;
  readonly rounds: number;
  /** What must be reached, and what is aimed at (docs/operations/benchmarks.md). */
  readonly floor?: Bounds;
  readonly goal?: Bounds;
  /** What else was measured, for the JSON alone. */
  readonly details?: Readonly<Record<string, number | string>>;
}

/** `/s`, `×` and `% of peak`: more is better; of the others, less. */
export type Unit = '/s' | '×' | '% of peak' | 's' | 'ms' | 'MiB' | '% CPU';

/** A bound that was given in megabytes, in MiB. */
export function megabytes(count: number): number {
  return (count * 1_000_000) / 2 ** 20;
}

/** In the units of the measurement; what is absent is not bound. */
export interface Bounds {
  readonly value?: number;
  readonly p99?: number;
}

/** CPU microseconds by whom: Node's processes that serve, PostgreSQL, and who makes the load when that is a process of its own. */
export interface CpuShares {
  readonly node: number;
  readonly postgres?: number;
  readonly loader?: number;
}

/** How long to measure: `--quick` is less. */
export interface Effort {
  readonly rounds: number;
  /** Milliseconds of a round of load. */
  readonly roundMs: number;
}

/** Measures one kind of work, and tells each measurement once it is made. Leaves no process and no file behind, whatever happens. */
export type Bench = (effort: Effort) => AsyncIterable<Measurement>;

/** One round of load. */
export interface Round {
  readonly perSecond: number;
  readonly cpu: CpuShares;
  readonly p50: number;
  readonly p99: number;
}

const MORE_IS_BETTER: ReadonlySet<Unit> = new Set(['/s', '×', '% of peak']);

/** Whether all bounds are kept. */
export function keeps({ unit, value, p99 }: Measurement, bounds: Bounds): boolean {
  const valueKept =
    bounds.value === undefined ||
    (MORE_IS_BETTER.has(unit) ? value >= bounds.value : value <= bounds.value);
  return valueKept && (bounds.p99 === undefined || (p99 ?? Number.POSITIVE_INFINITY) <= bounds.p99);
}

/** A round from what was clocked. @param times of each operation, ms, in any order @param cpu microseconds of the whole round */
export function roundOf(times: readonly number[], seconds: number, cpu: CpuShares): Round {
  const sorted = [...times].sort((a, b) => a - b);
  const each = (total: number | undefined) =>
    total === undefined ? undefined : total / times.length;
  return {
    perSecond: times.length / seconds,
    cpu: { node: cpu.node / times.length, postgres: each(cpu.postgres), loader: each(cpu.loader) },
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
  };
}

/** The row of some rounds of the same work: medians, figure by figure. */
export function rateOf(
  rounds: readonly Round[],
  about: Pick<Measurement, 'work' | 'concurrency' | 'floor' | 'goal' | 'details'>,
): Measurement {
  const of = (read: (round: Round) => number) => median(rounds.map(read));
  const share = (who: 'postgres' | 'loader') =>
    rounds[0]?.cpu[who] === undefined ? undefined : of((round) => round.cpu[who] as number);
  return {
    ...about,
    unit: '/s',
    value: of((round) => round.perSecond),
    cpu: {
      node: of((round) => round.cpu.node),
      postgres: share('postgres'),
      loader: share('loader'),
    },
    p50: of((round) => round.p50),
    p99: of((round) => round.p99),
    rounds: rounds.length,
  };
}
