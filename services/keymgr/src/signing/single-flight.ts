/** Runs at most one piece of work a key at a time; whoever asks for the same work while it runs gets the same result. */
export interface SingleFlight<T> {
  /** @param fingerprint Two calls with the same key and fingerprint ask for the same; with another fingerprint the second waits its turn. */
  run(key: string, fingerprint: string, work: () => Promise<T>): Promise<T>;
}

interface Flight<T> {
  readonly fingerprint: string;
  readonly result: Promise<T>;
}

/** In this process only: between processes the database is the judge. */
export function singleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Flight<T>>();

  async function run(key: string, fingerprint: string, work: () => Promise<T>): Promise<T> {
    let flight = flights.get(key);
    while (flight !== undefined && flight.fingerprint !== fingerprint) {
      await flight.result.catch(() => undefined);
      flight = flights.get(key);
    }
    if (flight !== undefined) return flight.result;
    const result = work().finally(() => flights.delete(key));
    flights.set(key, { fingerprint, result });
    return result;
  }

  return { run };
}
