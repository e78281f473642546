import { type Bounds, keeps, type Measurement } from './measurement.ts';

const COLUMNS = [52, 6, 12, 23, 8, 8, 27] as const;

/** The heading of the lines that `lineOf` makes. */
export const HEADING = columns([
  'work',
  'flight',
  'value',
  'CPU µs: node+pg+loader',
  'p50 ms',
  'p99 ms',
  'floor',
  'goal',
]);

/** One measurement as a line. */
export function lineOf(measurement: Measurement): string {
  const { work, unit, value, cpu, p50, p99, concurrency, floor, goal } = measurement;
  const shares = [cpu?.node, cpu?.postgres, cpu?.loader].map((share) => share?.toFixed(0) ?? '-');
  return columns([
    work,
    concurrency?.toString() ?? '',
    `${number(value)} ${unit}`,
    cpu === undefined ? '' : shares.join(' + '),
    p50?.toFixed(1) ?? '',
    p99?.toFixed(1) ?? '',
    floor === undefined
      ? ''
      : `${bounds(floor, unit)} ${keeps(measurement, floor) ? 'met' : 'MISSED'}`,
    goal === undefined
      ? ''
      : `${bounds(goal, unit)} ${keeps(measurement, goal) ? 'met' : 'not yet'}`,
  ]);
}

function bounds({ value, p99 }: Bounds, unit: string): string {
  const parts = [
    value === undefined ? [] : `${number(value)} ${unit}`,
    p99 === undefined ? [] : `p99 ${p99} ms`,
  ];
  return parts.flat().join(', ');
}

function columns(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(COLUMNS[i] ?? 0))
    .join(' ')
    .trimEnd();
}

/** Three digits that count. */
function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
