import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** Bounds what a public listener works on at one time, so that what it takes on ends in time whatever comes. */
export interface Admission {
  /**
   * Lets a request in; the result must be called when it is answered. Errors: UNAVAILABLE when too much is in hand.
   *
   * @param path without the query
   */
  enter(method: string, path: string): () => void;
}

/** How many requests may be in hand. */
export interface AdmissionLimits {
  /** For any request. */
  readonly all: number;
  /** For requests that begin something, as an order. */
  readonly beginnings: number;
}

/**
 * More than the clients of a busy hour have open at one time, and few enough to be answered within a second by one core. The
 * difference belongs to orders that have begun: what was done for them would be lost if they were not let end.
 */
const DEFAULT_LIMITS: AdmissionLimits = { all: 640, beginnings: 320 };

const BEGINNINGS: ReadonlySet<string> = new Set(['POST /acme/new-order', 'POST /acme/new-account']);
/** Who watches a busy process must see it. */
const ALWAYS: ReadonlySet<string> = new Set(['/live', '/ready', '/health']);
/** Seconds. Spread, so that those who were turned away together do not come back together. */
const RETRY_AFTER = { least: 1, most: 4 };

/** Counts in this process. Neither OCSP nor CRLs are asked for here: they have a listener of their own, without a bound. */
export function createAdmission(limits: AdmissionLimits = DEFAULT_LIMITS): Admission {
  let inHand = 0;
  let turnedAway = 0;
  return {
    enter(method, path) {
      if (ALWAYS.has(path)) return () => undefined;
      const limit = BEGINNINGS.has(`${method} ${path}`) ? limits.beginnings : limits.all;
      if (inHand >= limit) {
        const { least, most } = RETRY_AFTER;
        const retryAfter = least + (turnedAway++ % (most - least + 1));
        throw new GigvaultError('UNAVAILABLE', 'Too many requests are being worked on.', {
          retryAfter,
        });
      }
      inHand++;
      let left = false;
      return () => {
        if (!left) inHand--;
        left = true;
      };
    },
  };
}
