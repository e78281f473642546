import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from './clock.ts';

/** Watches the time of day, which stands in everything that is signed. */
export interface ClockGuard {
  /** Milliseconds by which the time of day was set since the start; negative: set back. Time that passed is no part of them. */
  moved(): number;
  /** False when that is more than a minute, either way. */
  isRight(): boolean;
  /** Errors: UNAVAILABLE when the time of day is not right. */
  check(): void;
  /** The time of day, Unix ms, for what is signed with it or deleted by it. Errors: UNAVAILABLE when it is not right. */
  now(): number;
  /** The time of day as it would be had nobody set it, Unix ms: for what cannot wait. Never throws. */
  believed(): number;
}

/** Milliseconds. Leap seconds and what NTP corrects stay far below. */
export const TOLERANCE = 60_000;
/** While the time of day is this near to what it was at the last look, that look still holds. Milliseconds. */
const FRESH = 1_000;

/**
 * Believes the time of day as it is now, and compares with the time that has passed since: whatever sets the clock of a running service by
 * more than a minute is an attack or a mistake. A certificate of that time would be wrong for as long as it is valid, a CRL until its
 * nextUpdate, and what was deleted as too old is gone. Nothing has to be done once the clock is back; where the new time is the right one, a
 * restart believes it.
 */
export function createClockGuard(clock: Clock): ClockGuard {
  const start = clock.now() - clock.elapsed();
  let known = { at: clock.now(), moved: 0 };

  function movedAt(now: number): number {
    if (Math.abs(now - known.at) >= FRESH)
      known = { at: now, moved: now - clock.elapsed() - start };
    return known.moved;
  }

  function checkAt(now: number): void {
    const moved = movedAt(now);
    if (Math.abs(moved) <= TOLERANCE) return;
    throw new GigvaultError(
      'UNAVAILABLE',
      'The clock was set; nothing is signed or deleted by it until it is right again.',
      { details: { movedSeconds: Math.round(moved / 1_000) }, retryAfter: 30 },
    );
  }

  return {
    moved: () => movedAt(clock.now()),
    isRight: () => Math.abs(movedAt(clock.now())) <= TOLERANCE,
    check: () => checkAt(clock.now()),
    now() {
      const now = clock.now();
      checkAt(now);
      return now;
    },
    believed() {
      const now = clock.now();
      const moved = movedAt(now);
      return Math.abs(moved) <= TOLERANCE ? now : now - moved;
    },
  };
}
