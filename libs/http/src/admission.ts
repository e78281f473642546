import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import { API_MOUNTS } from './route-table.ts';

/** Decides at a public listener what is begun now, so that what is begun also ends (docs/operations/overload.md). */
export interface Admission {
  /** @param path without the query */
  enter(method: string, path: string): Entry;
}

/** A request that is let in, and tells with which status it was answered; or one that may come back after so many seconds. */
export type Entry =
  | { readonly admitted: true; leave(status: number): void }
  | { readonly admitted: false; readonly retryAfter: number };

/** What an admission needs. */
export interface AdmissionOptions {
  readonly metrics: Metrics;
  /** Default: the process's, which takes a hundredth of what the machine's takes. */
  readonly clock?: Pick<Clock, 'elapsed'>;
}

const NEW_ORDER = 'POST /acme/new-order';
/** An order is open until its finalize is answered; the others are, until they are answered themselves. */
const BEGINNINGS: ReadonlySet<string> = new Set([
  NEW_ORDER,
  'POST /acme/new-account',
  ...API_MOUNTS.flatMap((mount) => [`POST ${mount}/certificates`, `POST ${mount}/csrs`]),
]);
const FINALIZE = /^\/acme\/order\/[^/]+\/finalize$/;
/** What takes as long as we take. A challenge's answer waits for the client's own server; lists may be long. */
const OUR_TIME = /^\/acme\/(?!chall\/)/;
/** Who watches a busy process must see it. */
const PROBES: ReadonlySet<string> = new Set(['/live', '/ready', '/health']);

/** Milliseconds that an answer may take on average. Beyond, more in hand makes all of them later and none of them more. */
const SLOW = 200;
/** Milliseconds between two looks at that. */
const LOOK = 250;
/** How many may be open: at least, and before anything is known. */
const LEAST = 32;
const FIRST = 128;
/** By how much that changes at a look. Slower than an order's way through, which is how long a change takes to be felt. */
const SHRINK = 0.9;
const GROW = 1.05;
/** Milliseconds after which an order that has not ended is one whose client takes its time, or has gone. */
const FORGOTTEN = 10_000;
/** Requests in hand of any kind: each holds memory, here and where it waits. */
const MOST_IN_HAND = 2_000;
/** Seconds. Spread, so that those who were turned away together do not come back together. */
const RETRY_AFTER = { least: 1, most: 4 };

/**
 * An order is many requests: to let in every request while there is room would begin far more orders than can end. So what is bounded is
 * how many are open, and only beginnings are turned away. The bound is found by trying (as TCP finds its window): smaller while answers
 * take long, larger while it is what holds clients back. Since one begins when another ends, a full window runs at the pace of what ends.
 */
export function createAdmission(options: AdmissionOptions): Admission {
  const { metrics, clock = { elapsed: () => performance.now() } } = options;
  const figures = {
    turnedAway: metrics.counter('admission_turned_away_total', 'Requests turned away.', []),
    limit: metrics.gauge('admission_limit', 'How many orders may be open at one time.', []),
    open: metrics.gauge('admission_open', 'Orders that have begun and not ended.', []),
  };
  /** When each of those that are open began. */
  const open: number[] = [];
  /** Those in hand that take as long as we take. */
  const ours = new Set<{ readonly since: number }>();
  let limit = FIRST;
  let inHand = 0;
  let turnedAway = 0;
  let seen = { since: clock.elapsed(), times: [] as number[], turnedAway: 0 };

  function look(now: number): void {
    while (open[0] !== undefined && open[0] < now - FORGOTTEN) open.shift();
    if (now - seen.since < LOOK) return;
    const isIdle = ours.size === 0 && seen.times.length === 0;
    if (paceOf(now) > SLOW) limit = Math.max(LEAST, Math.min(limit, open.length) * SHRINK);
    else if (seen.turnedAway > 0 && (isIdle || seen.times.length > 0)) limit *= GROW;
    else if (open.length < limit / 2) limit = Math.max(Math.min(limit, FIRST), limit * SHRINK);
    figures.limit.set(limit);
    figures.open.set(open.length);
    seen = { since: now, times: [], turnedAway: 0 };
  }

  /** Milliseconds on average: of what was answered, and of what should have been answered by now. */
  function paceOf(now: number): number {
    const late = [...ours].map(({ since }) => now - since).filter((age) => age > SLOW);
    const times = [...seen.times, ...late];
    return times.reduce((sum, time) => sum + time, 0) / Math.max(1, times.length);
  }

  function turnAway(): Entry {
    seen.turnedAway++;
    figures.turnedAway.inc();
    const { least, most } = RETRY_AFTER;
    return { admitted: false, retryAfter: least + (turnedAway++ % (most - least + 1)) };
  }

  return {
    enter(method, path) {
      const own = { since: clock.elapsed() };
      look(own.since);
      const what = `${method} ${path}`;
      const begins = BEGINNINGS.has(what);
      const isTooMuch = inHand >= MOST_IN_HAND || (begins && open.length >= limit);
      if (isTooMuch && !PROBES.has(path)) return turnAway();
      inHand++;
      if (begins) open.push(own.since);
      if (OUR_TIME.test(path)) ours.add(own);
      return {
        admitted: true,
        leave(status) {
          inHand--;
          const now = clock.elapsed();
          if (ours.delete(own)) seen.times.push(now - own.since);
          const isGood = status >= 200 && status < 300;
          if (begins ? what !== NEW_ORDER || !isGood : isGood && FINALIZE.test(path)) open.shift();
          look(now);
        },
      };
    },
  };
}

/** Answers a request that is not let in. */
export type TurnAway = (
  error: GigvaultError,
  request: IncomingMessage,
  response: ServerResponse,
) => void | Promise<void>;

/** A listener's handler behind an admission: what is turned away has cost nothing but the reading of its header. */
export function admitting(
  admission: Admission | undefined,
  handle: RequestListener,
  turnAway: TurnAway,
): RequestListener {
  if (admission === undefined) return handle;
  return (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] as string;
    const entry = admission.enter(request.method ?? '', path);
    if (entry.admitted) {
      response.once('close', () => entry.leave(response.statusCode));
      handle(request, response);
    } else {
      const { retryAfter } = entry;
      const message = 'More is asked for than can be worked on; nothing was done.';
      const error = new GigvaultError('OVERLOADED', message, { retryAfter });
      // Once its body is there: who is answered before may take the connection for broken, and a new one costs much more.
      request.resume().once('end', () => void turnAway(error, request, response));
    }
  };
}
