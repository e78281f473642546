import { expect, it } from '@jest/globals';
import { createSingleFlight } from './single-flight.ts';

it('shares a run in flight, and begins anew after it, also when it failed', async () => {
  const flights = createSingleFlight<number>();
  let runs = 0;
  const run = async () => {
    runs += 1;
    if (runs === 1) throw new Error('first');
    return runs;
  };
  const first = [flights.join('a', run), flights.join('a', run)];
  expect(flights.has('a')).toBe(true);
  for (const flight of first) await expect(flight).rejects.toThrow('first');
  expect(flights.has('a')).toBe(false);
  expect(await Promise.all([flights.join('a', run), flights.join('b', run)])).toEqual([2, 3]);
});
