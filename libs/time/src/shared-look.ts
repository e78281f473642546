import type { Clock } from './clock.ts';

/**
 * The same look for everybody who asks while it lasts and, however it ended, for `ms` milliseconds after: however many ask, what is looked at is asked by one
 * at a time, and at most so often. @param look ends at some time by itself: until then nobody looks again
 */
export function sharedLook<T>(
  look: () => Promise<T>,
  ms: number,
  clock: Pick<Clock, 'elapsed'>,
): () => Promise<T> {
  let last: Promise<T> | undefined;
  let until = 0;
  return () => {
    if (last !== undefined && clock.elapsed() < until) return last;
    const begun = look();
    const ended = () => {
      until = clock.elapsed() + ms;
    };
    last = begun;
    until = Number.POSITIVE_INFINITY;
    begun.then(ended, ended);
    return begun;
  };
}
