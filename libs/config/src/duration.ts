import { z } from 'zod';
import { quantities } from './quantity.ts';

const milliseconds = quantities({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }, 9);
const LONGEST = '3650d';

/**
 * A length of time as people write it, within these bounds: `90d`, `12h`, `15m`, `10s`, `500ms`. Milliseconds afterwards. There is no other
 * way to write one anywhere in the configuration; a bare number is refused, for nobody can see its unit.
 *
 * @param shortest as `1m`; by default nothing at all, `0s`
 */
export function durationBetween(shortest = '0s', longest = LONGEST) {
  const bounds = shortest === '0s' && longest === LONGEST ? '' : `, from ${shortest} to ${longest}`;
  const allowed = `a length of time with its unit, as "90d", "12h", "15m", "10s" or "500ms"${bounds}`;
  const error = ({ input }: { input?: unknown }) =>
    /^[0-9]+$/.test(String(input))
      ? `a length of time: its unit is missing, as in "${input}s" or "${input}ms"`
      : allowed;
  return z
    .string({ error })
    .regex(milliseconds.form, { error })
    .transform(milliseconds.read)
    .refine(
      (length) => length >= milliseconds.read(shortest) && length <= milliseconds.read(longest),
      allowed,
    );
}

/** Any length of time, nothing included. */
export const duration = durationBetween();

/** Any length of time but nothing. */
export const positiveDuration = durationBetween('1ms');
