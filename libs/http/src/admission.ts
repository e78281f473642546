import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import type { ListenerHandler } from './listener.ts';
import { API_MOUNTS } from './route-table.ts';

/** Decides at a public listener what is begun now, so that what is begun also ends (docs/operations/overload.md). */
export interface Admission {
  /** For a request that is there to its end, body included. @param path as `routedPath` has it */
  enter(method: string, path: string): Entry;
}

/**
 * A request that is let in, and tells with which status it was answered, or undefined when its client has not waited for that, once the work
 * for it has ended; or one that may come back after so many seconds.
 */
export type Entry =
  | { readonly admitted: true; leave(status: number | undefined): void }
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
/**
 * Where answers take less than this on average, and most open orders have no request in hand, there is much room: orders that nobody goes on
 * with must not close the door.
 */
const QUICK = SLOW / 4;
const SOAR = 1.25;
/** Milliseconds after which an order that has not ended is one whose client takes its time, or has gone. */
const FORGOTTEN = 10_000;
/** Requests in hand of any kind: each holds memory, here and where it waits. */
export const MOST_IN_HAND = 2_000;
/** Requests whose bodies are under way at one listener: each may hold as much memory as a body is long. */
const MOST_ARRIVING = 2_000;
/** Their answers wait for no body. */
const NO_BODY_READ: ReadonlySet<string> = new Set(['GET', 'HEAD', 'TRACE']);
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
    const holdsBack = seen.turnedAway > 0 && (isIdle || seen.times.length > 0);
    const pace = paceOf(now);
    const growth = pace < QUICK && ours.size < open.length / 2 ? SOAR : GROW;
    limit = nextLimit(limit, open.length, pace, holdsBack ? growth : 1);
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
          const time = now - own.since;
          // Whoever hung up before SLOW says nothing of how long an answer takes.
          if (ours.delete(own) && (status !== undefined || time > SLOW)) seen.times.push(time);
          const isGood = status !== undefined && status >= 200 && status < 300;
          if (begins ? what !== NEW_ORDER || !isGood : isGood && FINALIZE.test(path)) open.shift();
          look(now);
        },
      };
    },
  };
}

/** @param open how many are @param pace milliseconds of an answer on average @param growth more than 1 when somebody was turned away since the last look */
function nextLimit(limit: number, open: number, pace: number, growth: number): number {
  if (pace > SLOW) return Math.max(LEAST, Math.min(limit, open) * SHRINK);
  if (growth > 1) return Math.min(MOST_IN_HAND, limit * growth);
  return open < limit / 2 ? Math.max(Math.min(limit, FIRST), limit * SHRINK) : limit;
}

/** An admission for what begins nothing: of each kind, so many may be in hand at one time. @param kindOf what shares a number */
export function createBound(
  most: number,
  kindOf: (method: string, path: string) => string | undefined,
): Admission {
  const inHand = new Map<string | undefined, number>();
  const change = (kind: string | undefined, by: number) =>
    inHand.set(kind, (inHand.get(kind) ?? 0) + by);
  return {
    enter(method, path) {
      const kind = kindOf(method, path);
      if ((inHand.get(kind) ?? 0) >= most)
        return { admitted: false, retryAfter: RETRY_AFTER.least };
      change(kind, 1);
      return { admitted: true, leave: () => void change(kind, -1) };
    },
  };
}

/** Answers a request that is not let in. @param path as `routedPath` has it */
export type TurnAway = (
  error: GigvaultError,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
) => void | Promise<void>;

const works = new WeakMap<IncomingMessage, Promise<unknown>>();

/**
 * Tells what is done for a request, and returns it: until that has ended the request is in hand, also when its client has hung up. Otherwise
 * those who hang up at once could have any amount of work begun. Each wait of a handler is one for a call or a statement, which have their deadlines.
 */
export function workFor<T>(request: IncomingMessage, work: T): T {
  if (work instanceof Promise) works.set(request, work);
  return work;
}

/** Milliseconds after which work for nobody gives its place back all the same: a mistake must not close the door for ever. */
const LONGEST_WORK = 60_000;

/** What stands behind an admission. */
export interface Admitting {
  readonly handle: RequestListener;
  readonly turnAway: TurnAway;
  /** In octets: what is longer is refused by `handle`. */
  readonly bodyLimit: number;
}

/**
 * A listener's handler behind an admission; once the listener stops, nothing is begun, and what has begun goes on.
 * A request is decided on when it is there to its end: whoever withholds a body takes no place, and
 * whoever is answered before he has sent it may take the connection for broken, and a new one costs much more. Of the bodies that are under
 * way the oldest gives way when there are too many, since one that is meant comes at once.
 */
export function admitting(
  admission: Admission | undefined,
  { handle, turnAway, bodyLimit }: Admitting,
): ListenerHandler {
  if (admission === undefined) return handle;
  /** What ends them, the oldest first. */
  const arriving = new Set<() => void>();
  return (request, response, isStopping) => {
    const path = routedPath(request.url ?? '');
    const refuse = (error: GigvaultError) => void turnAway(error, path, request, response);
    const decide = () => {
      if (isStopping() && BEGINNINGS.has(`${request.method} ${path}`)) return refuse(tooLate());
      const entry = admission.enter(request.method ?? '', path);
      if (!entry.admitted) return refuse(tooMuch(entry.retryAfter));
      response.once('close', () => {
        if (response.writableFinished) entry.leave(response.statusCode);
        // Its client has gone, the work has not.
        else {
          const ended = Promise.allSettled([works.get(request)]);
          void within(systemClock, LONGEST_WORK, ended, 'too long')
            .catch(() => undefined)
            .then(() => entry.leave(undefined));
        }
      });
      handle(request, response);
    };
    const { method = '', headers } = request;
    const length = Number(headers['content-length'] ?? 0);
    const hasBody = length > 0 || headers['transfer-encoding'] !== undefined;
    if (!hasBody || NO_BODY_READ.has(method)) return decide();
    // It cannot begin anything.
    if (length > bodyLimit) return handle(request, response);
    const end = () => {
      stop();
      response.setHeader('connection', 'close');
      refuse(tooMuch(RETRY_AFTER.least));
    };
    const stop = gather(request, bodyLimit, (isWithin) => {
      arriving.delete(end);
      if (isWithin) decide();
      else handle(request, response);
    });
    response.once('close', () => arriving.delete(end));
    arriving.add(end);
    const [oldest] = arriving;
    if (arriving.size > MOST_ARRIVING && oldest) {
      arriving.delete(oldest);
      oldest();
    }
  };
}

function tooMuch(retryAfter: number): GigvaultError {
  const message = 'More is asked for than can be worked on; nothing was done.';
  return new GigvaultError('OVERLOADED', message, { retryAfter });
}

function tooLate(): GigvaultError {
  const message = 'The server is stopping; nothing was done.';
  return new GigvaultError('UNAVAILABLE', message, { retryAfter: RETRY_AFTER.most });
}

/**
 * Waits until a body is there to its end, or longer than the limit, and leaves it to be read as if nobody had looked.
 * Returns what ends the waiting.
 */
function gather(
  request: IncomingMessage,
  limit: number,
  then: (isWithin: boolean) => void,
): () => void {
  const parts: Buffer[] = [];
  let length = 0;
  function take(): void {
    while (request.readableLength > 0) {
      const part = request.read() as Buffer;
      parts.push(part);
      length += part.length;
    }
    if (!request.complete && length <= limit) return;
    stop();
    // In the same turn: once the stream has told its end nothing can be put back.
    if (length > 0) request.unshift(parts.length === 1 ? parts[0] : Buffer.concat(parts));
    // Chunks of nothing are no body: the end has been told to nobody, and a reader would wait for it.
    else delete request.headers['transfer-encoding'];
    then(length <= limit);
  }
  const stop = () => void request.off('readable', take);
  request.on('readable', take);
  return stop;
}

/** `GET https://host/path HTTP/1.1` means /path (RFC 9112 §3.2.2). */
export function originForm(target: string): string {
  return target.replace(/^https?:\/\/[^/?#]*/i, '') || '/';
}

/** The path that a router finds for a request's target, however the target is written; as it stands when it cannot be decoded. */
export function routedPath(target: string): string {
  const path = originForm(target).split(/[?#]/, 1)[0] as string;
  if (!path.includes('%')) return path;
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}
