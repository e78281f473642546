const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** A limit as people think of it, in the largest unit of which there is one: `90 d`, `1.5 d`, `1 h`, `30 min`, `0 s`. */
export function lengthOfTime(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => ms >= each) ?? ['s', 1_000];
  return `${Math.round((ms / size) * 10) / 10} ${unit}`;
}
