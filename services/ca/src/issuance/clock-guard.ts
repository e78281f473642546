import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';

/** Watches the time of day, which stands in everything that is signed. */
export interface ClockGuard {
  /** Milliseconds by which the time of day was set since the start; negative: set back. Time that passed is no part of them. */
  moved(): number;
  /** Errors: UNAVAILABLE when that is more than a minute, either way. */
  check(): void;
}

/** Milliseconds. Leap seconds and what NTP corrects stay far below. */
const TOLERANCE = 60_000;
/** While the time of day is this near to what it was at the last look, that look still holds. Milliseconds. */
const FRESH = 1_000;

/**
 * Believes the time of day as it is now, and compares with the time that has passed since: whatever sets the clock of a running CA by more than
 * a minute is an attack or a mistake, and a certificate of that time would be wrong for as long as it is valid. Nothing has to be done once the
 * clock is back; where the new time is the right one, a restart believes it.
 */
export function createClockGuard(clock: Clock): ClockGuard {
  const start = clock.now() - clock.elapsed();
  let known = { at: clock.now(), moved: 0 };

  function moved(): number {
    const now = clock.now();
    if (Math.abs(now - known.at) >= FRESH)
      known = { at: now, moved: now - clock.elapsed() - start };
    return known.moved;
  }

  return {
    moved,
    check() {
      if (Math.abs(moved()) <= TOLERANCE) return;
      throw new GigvaultError(
        'UNAVAILABLE',
        "The CA's clock was set; no certificate is issued until it is right again.",
        { details: { movedSeconds: Math.round(moved() / 1_000) }, retryAfter: 30 },
      );
    },
  };
}
