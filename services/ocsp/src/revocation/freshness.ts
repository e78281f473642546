/** Until when this service knows every revocation. The honest thisUpdate of a `good` answer. */
export interface Freshness {
  /** Unix ms; undefined before the event log was ever read to its end. */
  asOf(): number | undefined;
  /** Everything up to `at` is known. Never moves backwards. */
  advance(at: number): void;
}

/** Starts from what was remembered before the restart. */
export function createFreshness(remembered?: number): Freshness {
  let asOf = remembered;
  return {
    asOf: () => asOf,
    advance(at) {
      if (asOf === undefined || at > asOf) asOf = at;
    },
  };
}
