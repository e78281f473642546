import type { Clock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import { LRUCache } from 'lru-cache';
import type { CertificateKey, CertificateState } from '../ports/certificate-state.ts';
import type { StatusSource } from '../ports/status-source.ts';
import type { StatusStore } from '../ports/status-store.ts';
import type { Freshness } from '../revocation/freshness.ts';

/** How long the table may take, ms: an OCSP client waits no longer than a few seconds, for a connection alone the pool waits five. */
const TABLE_LIMIT = 1_000;

/** A state and the time up to which it is known to be true. */
export interface KnownStatus {
  /** Undefined: never issued. */
  readonly state: CertificateState | undefined;
  /** Unix ms; undefined when nobody can say, which only a `good` of an unread event log can be. */
  readonly asOf: number | undefined;
}

/** Looks up states: memory, then the table, then `ca`. */
export interface StatusIndex {
  /** Errors: those of StatusStore.find and StatusSource.ask; DEADLINE_EXCEEDED when the table is silent. */
  lookup(issuerId: string, serialNumber: string): Promise<KnownStatus>;
  /** Whether a revocation of what was good at `asOf`, Unix ms, would be known by now; if not, look it up again. */
  isCurrent(asOf: number): boolean;
  /** Forgets what memory holds of these; called after the commit of their change. */
  changed(keys: readonly CertificateKey[]): void;
  /** Forgets everything: some change may have been missed. */
  clear(): void;
}

/** What the index needs. */
export interface StatusIndexDeps {
  readonly store: StatusStore;
  readonly source: StatusSource;
  readonly freshness: Freshness;
  readonly clock: Clock;
  /** Age of the event log's knowledge, ms, from which on `ca` is asked about certificates that are good. */
  readonly maxAge: number;
  /** States held in memory; about 200 octets each. */
  readonly maxEntries: number;
}

interface Entry {
  readonly state: CertificateState;
  /** When `ca` itself said so; 0 when it came from the event log. */
  readonly askedAt: number;
}

/**
 * One look-up a serial number at a time: requests that arrive meanwhile share its answer. When the event log cannot be followed, `ca`
 * is asked; when it does not answer either, what is known stands with the time up to which it was known.
 */
export function createStatusIndex(deps: StatusIndexDeps): StatusIndex {
  const entries = new LRUCache<string, Entry>({ max: deps.maxEntries });
  const flights = new Map<string, Promise<Entry | undefined>>();

  async function load(issuerId: string, serialNumber: string): Promise<Entry | undefined> {
    const found = deps.store.find(issuerId, serialNumber);
    const stored = await within(deps.clock, TABLE_LIMIT, found, 'the table of states is silent');
    const entry = stored && { state: stored, askedAt: 0 };
    if (entry && !isStale(deps, known(deps, entry))) return entry;
    const askedAt = deps.clock.now();
    try {
      const state = await deps.source.ask(issuerId, serialNumber);
      return state && { state, askedAt };
    } catch (error) {
      if (entry && known(deps, entry).asOf !== undefined) return entry;
      throw error;
    }
  }

  function fly(key: string, issuerId: string, serialNumber: string): Promise<Entry | undefined> {
    const flight = load(issuerId, serialNumber).then(
      (entry) => {
        // A change that came meanwhile has removed the flight: what it read may be old.
        if (flights.get(key) === flight) {
          flights.delete(key);
          if (entry) entries.set(key, entry);
        }
        return entry;
      },
      (error) => {
        if (flights.get(key) === flight) flights.delete(key);
        throw error;
      },
    );
    flights.set(key, flight);
    return flight;
  }

  return {
    async lookup(issuerId, serialNumber) {
      const key = `${issuerId}/${serialNumber}`;
      const entry = entries.get(key);
      const status = entry && known(deps, entry);
      if (status && !isStale(deps, status)) return status;
      return known(deps, await (flights.get(key) ?? fly(key, issuerId, serialNumber)));
    },
    isCurrent: (asOf) => !isOld(deps, Math.max(deps.freshness.asOf() ?? 0, asOf)),
    changed(keys) {
      for (const { issuerId, serialNumber } of keys) {
        const key = `${issuerId}/${serialNumber}`;
        entries.delete(key);
        flights.delete(key);
      }
    },
    clear() {
      entries.clear();
      flights.clear();
    },
  };
}

function known({ clock, freshness }: StatusIndexDeps, entry: Entry | undefined): KnownStatus {
  const now = clock.now();
  if (!entry) return { state: undefined, asOf: now };
  // Revocation is final, so it is as true now as when it was read.
  if (entry.state.status === 'revoked') return { state: entry.state, asOf: now };
  // What was asked at a time that has not come yet was asked while the clock was wrong.
  const asOf = Math.max(freshness.asOf() ?? 0, entry.askedAt <= now ? entry.askedAt : 0);
  return { state: entry.state, asOf: asOf === 0 ? undefined : asOf };
}

function isStale(deps: StatusIndexDeps, { state, asOf }: KnownStatus): boolean {
  return state?.status === 'good' && isOld(deps, asOf ?? 0);
}

function isOld({ clock, maxAge }: StatusIndexDeps, asOf: number): boolean {
  return clock.now() - asOf > maxAge;
}
