import { z } from 'zod';

const MILLISECONDS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A length of time as people write it, nothing included: `47d`, `12h`, `30m`, `0s`. Milliseconds afterwards. */
export const duration = z
  .string()
  .regex(/^[0-9]{1,6}[smhd]$/, 'a length of time, as "47d", "12h" or "30m"')
  .transform(milliseconds);

/** As `duration`, but longer than nothing. */
export const positiveDuration = z
  .string()
  .regex(/^[1-9][0-9]{0,5}[smhd]$/, 'a length of time, as "47d", "12h" or "30m"')
  .transform(milliseconds);

function milliseconds(text: string): number {
  return Number(text.slice(0, -1)) * (MILLISECONDS[text.slice(-1)] ?? Number.NaN);
}
