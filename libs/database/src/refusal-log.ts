import type { Clock } from '@gigvault/time/clock';
import { createBatcher } from './batcher.ts';
import { type NewEvent, ofThisRequest } from './new-event.ts';

/** Refusals that are alike. */
export interface Refusal {
  readonly caller: string;
  /** What it would have been done to; `*` where nothing is named. */
  readonly subject: string;
  readonly operation: string;
  readonly reason: string;
}

/** How refusals are written; durable when it resolves. */
export interface RefusalWriter {
  /** One that somebody waits for. */
  now(refusal: Refusal): Promise<void>;
  /** Those that followed it, with their numbers. */
  later(repeated: readonly Repeated[]): Promise<void>;
}

/** How often a refusal was repeated after it was written. */
export interface Repeated {
  readonly refusal: Refusal;
  readonly count: number;
}

/** Tells of every refusal, so that a client that asks on and on writes two events of a kind in a minute and not one for each request. */
export interface RefusalLog {
  /** The first of its kind is written when it resolves; those of the minute after it are counted. */
  refused(refusal: Refusal): Promise<void>;
  /** Writes the numbers of the kinds whose minute is over, or of all; keeps them when the write fails. */
  flush(all?: boolean): Promise<void>;
}

interface Kind {
  readonly refusal: Refusal;
  readonly written: Promise<void>;
  /** Of `clock.elapsed()`. */
  readonly until: number;
  /** Since it was written. */
  more: number;
}

const MINUTE = 60_000;
/** Of one caller, who chooses keys and bytes. */
const MOST_KINDS = 100;
const OTHER = { subject: '*', operation: '*', reason: `${MOST_KINDS} others in a minute` } as const;

/** In memory: numbers that are not yet written die with the process, the first of each kind does not. */
export function refusalLog(writer: RefusalWriter, clock: Clock): RefusalLog {
  const byCaller = new Map<string, Map<string, Kind>>();
  /** Could not be written. Few: while nothing can be, no kind has its first. */
  let owed: readonly Repeated[] = [];

  function kindsOf(caller: string): Map<string, Kind> {
    const kinds = byCaller.get(caller) ?? new Map<string, Kind>();
    byCaller.set(caller, kinds);
    return kinds;
  }

  function forget(kind: Kind): void {
    const { refusal } = kind;
    const kinds = kindsOf(refusal.caller);
    // A write that fails late finds the kind of the next minute.
    if (kinds.get(idOf(refusal)) === kind) kinds.delete(idOf(refusal));
    if (kinds.size === 0) byCaller.delete(refusal.caller);
  }

  return {
    async refused(asked) {
      const kinds = kindsOf(asked.caller);
      const crowded = kinds.size >= MOST_KINDS && !kinds.has(idOf(asked));
      const refusal = crowded ? { ...asked, ...OTHER } : asked;
      const id = idOf(refusal);
      const known = kinds.get(id);
      if (known !== undefined) {
        known.more += 1;
        return known.written;
      }
      const written = writer.now(refusal);
      const kind = { refusal, written, until: clock.elapsed() + MINUTE, more: 0 };
      kinds.set(id, kind);
      // Nobody has been told: the next one is the first.
      written.catch(() => forget(kind));
      return written;
    },
    async flush(all = false) {
      const now = clock.elapsed();
      const over = [...byCaller.values()]
        .flatMap((kinds) => [...kinds.values()])
        .filter(({ until }) => all || until <= now);
      over.forEach(forget);
      const followed = over.filter(({ more }) => more > 0);
      const repeated = [
        ...owed,
        ...followed.map(({ refusal, more: count }) => ({ refusal, count })),
      ];
      if (repeated.length === 0) return;
      owed = [];
      try {
        await writer.later(repeated);
      } catch (error) {
        owed = [...repeated, ...owed];
        throw error;
      }
    },
  };
}

function idOf({ subject, operation, reason }: Refusal): string {
  return JSON.stringify([subject, operation, reason]);
}

/** Where refusals become events. */
export interface RefusalEvents<E extends NewEvent> {
  /** As `keymgr.refused`. */
  readonly name: string;
  /** Durable when it resolves. */
  append(events: readonly E[]): Promise<void>;
  /** @param count of those that followed the one that was told; absent: it is that one */
  eventOf(refusal: Refusal, count?: number): E;
}

/** Writes refusals as events; those of concurrent requests share a transaction. */
export function refusalWriter<E extends NewEvent>(events: RefusalEvents<E>): RefusalWriter {
  const { name, append, eventOf } = events;
  const waiting = createBatcher<E, undefined>({
    name,
    maxItems: 100,
    maxQueue: 1_000,
    async run(some) {
      await append(some);
      return some.map(() => ({ ok: true, value: undefined }));
    },
  });
  return {
    now: (refusal) => waiting.submit(ofThisRequest(eventOf(refusal))),
    later: (repeated) => append(repeated.map(({ refusal, count }) => eventOf(refusal, count))),
  };
}
