import { type Clock, systemClock } from '@gigvault/time/clock';

/** A clock on which no time passes but what a test lets pass. */
export interface StillClock extends Clock {
  /** @param ms whoever sleeps does not notice */
  advance(ms: number): void;
}

/**
 * Stands at the present second. Pauses take the machine's time, so that the workers of a whole service go on while every expiry
 * stays where it is.
 */
export function stillClock(): StillClock {
  let now = Math.floor(systemClock.now() / 1_000) * 1_000;
  let elapsed = 0;
  return {
    now: () => now,
    elapsed: () => elapsed,
    sleep: systemClock.sleep,
    advance(ms) {
      now += ms;
      elapsed += ms;
    },
  };
}
