/** Work that is shared by everybody who asks for it while it runs. */
export interface SingleFlight<T> {
  /** The promise of the run in flight for `key`, or of a new one. */
  join(key: string, run: () => Promise<T>): Promise<T>;
  /** Whether this process works on `key` now. */
  has(key: string): boolean;
}

/** One run at a time for each key, in this process. */
export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>();
  return {
    join(key, run) {
      const inFlight = flights.get(key);
      if (inFlight) return inFlight;
      const flight = run().finally(() => flights.delete(key));
      flights.set(key, flight);
      return flight;
    },
    has: (key) => flights.has(key),
  };
}
