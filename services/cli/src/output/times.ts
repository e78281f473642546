const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/** `2026-11-21`. */
export function day(time: string | number): string {
  return new Date(time).toISOString().slice(0, 10);
}

/** A span as `20 y`, `47 d`, `3 h`, `5 min`, `20 s`: the largest unit of which there are two. */
export function span(ms: number): string {
  const amount = Math.abs(ms);
  if (amount >= 2 * YEAR) return `${Math.round(amount / YEAR)} y`;
  if (amount >= 2 * DAY) return `${Math.round(amount / DAY)} d`;
  if (amount >= 2 * HOUR) return `${Math.round(amount / HOUR)} h`;
  if (amount >= 2 * MINUTE) return `${Math.round(amount / MINUTE)} min`;
  return `${Math.round(amount / 1000)} s`;
}

/** A date with how far it is: `2027-01-07 (in 47 d)`, `2026-01-01 (3 h ago)`. */
export function dayAndDistance(time: string | number, now: number): string {
  const distance = new Date(time).getTime() - now;
  return `${day(time)} (${distance >= 0 ? `in ${span(distance)}` : `${span(distance)} ago`})`;
}

/** Milliseconds of `90s`, `30m`, `12h`, `47d`, `2w`, `1y`; undefined when it is none of these. */
export function parseSpan(text: string): number | undefined {
  const [, digits, unit] = /^(\d{1,9})(s|m|h|d|w|y)$/.exec(text.trim()) ?? [];
  const units: Record<string, number> = {
    s: 1000,
    m: MINUTE,
    h: HOUR,
    d: DAY,
    w: 7 * DAY,
    y: YEAR,
  };
  return digits && unit ? Number(digits) * (units[unit] ?? 0) : undefined;
}
