import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import type { Worker } from '@gigvault/time/worker';
import { dnsResolver } from '../src/adapters/dns-resolver.ts';
import { nodeHttpFetcher } from '../src/adapters/node-http-fetcher.ts';
import { pgAuthorizationStore } from '../src/adapters/pg-authorization-store.ts';
import { pgValidationQueue } from '../src/adapters/pg-validation-queue.ts';
import {
  type ValidationWorkerOptions,
  validationWorker,
} from '../src/adapters/validation-worker.ts';
import { createAuthorizations } from '../src/authorization/create-authorizations.ts';
import { readAuthorizations } from '../src/authorization/read-authorizations.ts';
import type { Share } from '../src/ports/validation-queue.ts';
import { respondToChallenge } from '../src/validation/respond-to-challenge.ts';
import { eventually, type RaDatabase, raEventLog, startRaDatabase } from './fixtures.ts';

const THUMBPRINT = '9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI';
const DAY = 86_400_000;
/** What a worker that has nothing in flight takes: everything. */
export const ALL: Share = { each: 1_000, inFlight: new Map() };
/** Pending authorizations of one requester. */
export const MAX_PENDING = 120;
const RULES = { development: true, allowedNetworks: [] };

/** The authorization flows over a real database, and a real web server on loopback for http-01 to ask. */
export interface AuthorizationFixture {
  readonly ra: RaDatabase;
  /** What the web server says; the right answer to begin with, and again after `reset`. */
  answer: RequestListener;
  /** The flows of one requester of its own. */
  setUp(clock?: Clock, change?: Partial<ValidationWorkerOptions>): ReturnType<typeof flows>;
  /** Stops every worker that was started. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export const rightAnswer: RequestListener = (request, response) => {
  response.end(`${request.url?.split('/').at(-1)}.${THUMBPRINT}`);
};

export async function startAuthorizationFixture(): Promise<AuthorizationFixture> {
  const ra = await startRaDatabase();
  const server = createServer((request, response) => fixture.answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const running: Worker[] = [];
  let requesters = 0;
  const fixture: AuthorizationFixture = {
    ra,
    answer: rightAnswer,
    setUp: (clock = systemClock, change = {}) =>
      flows(`acme:${++requesters}`, clock, { port, ...change }, ra, running),
    async reset() {
      fixture.answer = rightAnswer;
      installFaultHook(undefined);
      await Promise.all(running.splice(0).map((worker) => worker.stop()));
    },
    async stop() {
      await new Promise((resolve) => server.close(resolve));
      await ra.database.stop();
    },
  };
  return fixture;
}

function flows(
  requester: string,
  clock: Clock,
  change: Partial<ValidationWorkerOptions> & { readonly port: number },
  ra: RaDatabase,
  running: Worker[],
) {
  const eventLog = raEventLog(ra.pool, clock);
  const authorizations = pgAuthorizationStore(ra.pool, eventLog);
  const queue = pgValidationQueue(ra.pool, eventLog);
  const clockGuard = createClockGuard(clock);
  const workerOptions: ValidationWorkerOptions = {
    resolver: dnsResolver({ development: true, servers: [], clock }),
    fetcher: nodeHttpFetcher,
    queue,
    clock,
    clockGuard,
    log: silentLog,
    rules: RULES,
    timeout: 5000,
    concurrency: 8,
    attempts: 3,
    retryDelay: 10,
    authorizationValidity: 30 * DAY,
    ...change,
  };
  const worker = validationWorker(workerOptions);
  const deps = {
    authorizations,
    clock,
    clockGuard,
    rules: RULES,
    pendingValidity: 7 * DAY,
    maxPending: MAX_PENDING,
    attempted: async () => worker.wake(),
  };
  const order = (...names: string[]) =>
    createAuthorizations(deps, {
      requester,
      identifiers: names.map((value) => ({ type: 'dns', value })),
    });
  const get = async (id: string) => (await readAuthorizations(deps, [id]))[0]!;
  const respond = (
    authorization: Awaited<ReturnType<typeof get>>,
    by = requester,
    thumbprint = THUMBPRINT,
  ) => {
    const [challenge] = authorization.challenges;
    return respondToChallenge(deps, {
      authorizationId: authorization.authorizationId,
      challengeId: challenge!.challengeId,
      requester: by,
      keyAuthorization: `${challenge!.token}.${thumbprint}`,
    });
  };
  const settled = (id: string) =>
    eventually(async () => {
      const now = await get(id);
      return now.status !== 'pending' && now;
    }, systemClock);
  const start = async () => {
    running.push(worker);
    await worker.start();
  };
  return {
    requester,
    eventLog,
    authorizations,
    queue,
    worker,
    workerOptions,
    deps,
    order,
    get,
    respond,
    settled,
    start,
  };
}
