import { AWAKE, type Clock } from './clock.ts';

/**
 * Sleeps for `ms` milliseconds, or until it is woken.
 *
 * @param listen gets what wakes it, and returns what ends that; called once each
 */
export async function nap(
  clock: Clock,
  ms: number,
  listen: (wake: () => void) => () => void,
): Promise<void> {
  const sleeping = new AbortController();
  const stop = listen(() => sleeping.abort(AWAKE));
  await clock.sleep(ms, sleeping.signal).catch(() => undefined);
  stop();
}
