import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type AcmeConnection,
  openAcmeConnection,
  type Refusal,
} from '../../bench/acme-connection.ts';
import { begin, finish, requestsFor } from '../../bench/acme-load.ts';
import { startChallengeResponder } from '../../bench/challenge-responder.ts';

/** What this process is told first. */
export interface FloodSetup {
  readonly directory: string;
  readonly rootFile: string;
  readonly http01Port: number;
  /** Accounts, with a connection each: as many orders as can be in hand here. */
  readonly connections: number;
}

/** What it is told then, and does once: for so many milliseconds, and until ENOUGH are issued, since a busy machine may stand still for seconds. */
export type FloodOrder =
  /** Each of them asks for the next certificate when it has the last. */
  | { readonly ms: number; readonly clients: number }
  /** Orders are begun at this rate a second, whatever becomes of those before; one that is turned away is given up. */
  | { readonly ms: number; readonly rate: number };

/** What became of it. */
export interface FloodReport {
  /** For how long orders were begun. */
  readonly seconds: number;
  readonly begun: number;
  readonly issued: number;
  /** Those of them while orders were begun. */
  readonly issuedInTime: number;
  /** Orders that were turned away with 503 or 429, and told when to come back. */
  readonly turnedAway: number;
  /** How many of these got a nonce with the answer. */
  readonly withNonce: number;
  /** Requests of orders that had begun, with the same answer. They are sent again. */
  readonly delayed: number;
  /** Orders for which no connection was free, or for which this process had no time. */
  readonly unsent: number;
  /** Milliseconds of the answers to what was let in, in ascending order. */
  readonly times: readonly number[];
  /** What no client should see; some of it. */
  readonly failures: readonly string[];
}

type Counts = {
  -readonly [K in 'begun' | 'issued' | 'turnedAway' | 'withNonce' | 'delayed' | 'unsent']: number;
};

/** Accounts that are made at one time. */
const AT_ONCE = 10;
/** Milliseconds between two looks at the clock, and the most orders that are begun at one. */
const TICK = 5;
const MOST_AT_ONCE = 50;
const FAILURES = 20;
const ENOUGH = 50;

/** Bound to one setup: the accounts are made once. */
async function prepare(setup: FloodSetup) {
  const responder = await startChallengeResponder(setup.http01Port);
  const options = { directory: setup.directory, ca: readFileSync(setup.rootFile, 'utf8') };
  const requestOf = requestsFor(undefined);
  const idle: AcmeConnection[] = [];
  while (idle.length < setup.connections) {
    const some = Array.from({ length: AT_ONCE }, () => openAcmeConnection(options));
    idle.push(...(await Promise.all(some)));
  }
  /** Numbers of requests that were made and not used. */
  const unused: number[] = [];
  let made = 0;

  /** One order, from its beginning to its end. */
  async function one(counts: Counts, times: number[]): Promise<void> {
    const connection = idle.pop();
    counts.begun++;
    if (connection === undefined) {
      counts.unsent++;
      return;
    }
    const acme = timed(connection, times);
    const number = unused.pop() ?? made++;
    const { name, csr } = requestOf(number);
    try {
      const begun = await begin(acme, name).catch((error: Error) => {
        if (whenAgain(error) === undefined) throw error;
        counts.turnedAway++;
        if ((error.cause as Refusal).hasNonce) counts.withNonce++;
        unused.push(number);
      });
      if (begun === undefined) return;
      await finish(
        patient(acme, () => counts.delayed++),
        responder,
        begun,
        csr,
      );
      counts.issued++;
    } finally {
      idle.push(connection);
    }
  }

  return async function run(order: FloodOrder): Promise<FloodReport> {
    const counts = { begun: 0, issued: 0, turnedAway: 0, withNonce: 0, delayed: 0, unsent: 0 };
    const times: number[] = [];
    const failures: string[] = [];
    const begin = () =>
      one(counts, times).catch((error: Error) => void failures.push(error.message));
    const start = performance.now();
    const elapsed = () => performance.now() - start;
    const goesOn = () => elapsed() < order.ms || counts.issued < ENOUGH;
    const running: Promise<void>[] = [];
    if ('clients' in order) {
      const client = async () => {
        while (goesOn()) await begin();
      };
      running.push(...Array.from({ length: order.clients }, client));
      while (goesOn()) await pause(TICK);
    } else
      while (goesOn()) {
        const due = Math.floor((elapsed() * order.rate) / 1_000) - counts.begun;
        for (let i = 0; i < Math.min(due, MOST_AT_ONCE); i++) running.push(begin());
        // For these it is too late: whoever catches up has no time for the answers, and measures himself.
        const late = Math.max(0, due - MOST_AT_ONCE);
        counts.begun += late;
        counts.unsent += late;
        await pause(TICK);
      }
    const issuedInTime = counts.issued;
    const seconds = elapsed() / 1_000;
    await Promise.all(running);
    times.sort((a, b) => a - b);
    return { ...counts, issuedInTime, seconds, times, failures: failures.slice(0, FAILURES) };
  };
}

/** Seconds after which who was turned away may come back; undefined for anything else that went wrong. */
function whenAgain({ cause, message }: Error): number | undefined {
  const { status, retryAfter = 0 } = (cause ?? {}) as Partial<Refusal>;
  if (!/urn:ietf:params:acme:error:(rateLimited|serverInternal)"/.test(message)) return undefined;
  return (status === 503 || status === 429) && retryAfter > 0 ? retryAfter : undefined;
}

/** Notes how long the answers to what is let in take. */
function timed(connection: AcmeConnection, times: number[]): AcmeConnection {
  const clock = async <T>(answer: Promise<T>) => {
    const start = performance.now();
    const result = await answer;
    times.push(performance.now() - start);
    return result;
  };
  return {
    ...connection,
    post: (url, payload) => clock(connection.post(url, payload)),
    download: (url) => clock(connection.download(url)),
  };
}

/** Comes back when it is told to. */
function patient(connection: AcmeConnection, onDelay: () => void): AcmeConnection {
  const again = async <T>(ask: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        const seconds = whenAgain(error as Error);
        if (seconds === undefined) throw error;
        onDelay();
        await pause(seconds * 1_000);
      }
    }
  };
  return {
    ...connection,
    post: (url, payload) => again(() => connection.post(url, payload)),
    download: (url) => again(() => connection.download(url)),
  };
}

let running: ReturnType<typeof prepare> | undefined;
process.on('message', (message) => {
  if (running === undefined) {
    running = prepare(message as FloodSetup);
    void running.then(() => process.send?.('ready'));
  } else
    void running.then((run) => run(message as FloodOrder)).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));
