import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { type Clock, FakeClock, systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { nodeHttpFetcher } from '../src/adapters/node-http-fetcher.ts';
import { pgAuthorizationStore } from '../src/adapters/pg-authorization-store.ts';
import { pgValidationQueue } from '../src/adapters/pg-validation-queue.ts';
import { reaper } from '../src/adapters/reaper.ts';
import { systemResolver } from '../src/adapters/system-resolver.ts';
import {
  type ValidationWorkerOptions,
  validationWorker,
} from '../src/adapters/validation-worker.ts';
import { createAuthorizations } from '../src/authorization/create-authorizations.ts';
import { deactivateAuthorization } from '../src/authorization/deactivate-authorization.ts';
import { readAuthorizations } from '../src/authorization/read-authorizations.ts';
import type { HopFetcher } from '../src/ports/hop-fetcher.ts';
import { respondToChallenge } from '../src/validation/respond-to-challenge.ts';
import {
  codeOf,
  eventsOf,
  eventually,
  type RaDatabase,
  raEventLog,
  startRaDatabase,
} from './fixtures.ts';

const THUMBPRINT = '9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI';
const DAY = 86_400_000;
const RULES = { development: true, allowedNetworks: [] };

let ra: RaDatabase;
let server: Server;
let port: number;
let answer: RequestListener;
const running: Worker[] = [];
let requesters = 0;

beforeAll(async () => {
  ra = await startRaDatabase();
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(async () => {
  installFaultHook(undefined);
  await Promise.all(running.splice(0).map((worker) => worker.stop()));
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await ra.database.stop();
});

/** The authorization flows of one requester of its own. */
function setUp(clock: Clock = systemClock, change: Partial<ValidationWorkerOptions> = {}) {
  const requester = `acme:${++requesters}`;
  const eventLog = raEventLog(ra.pool, clock);
  const authorizations = pgAuthorizationStore(ra.pool, eventLog);
  const queue = pgValidationQueue(ra.pool, eventLog);
  const worker = validationWorker({
    resolver: systemResolver({ development: true }),
    fetcher: nodeHttpFetcher,
    queue,
    clock,
    log: silentLog,
    rules: RULES,
    port,
    timeout: 5000,
    concurrency: 8,
    attempts: 3,
    retryDelay: 10,
    authorizationValidity: 30 * DAY,
    ...change,
  });
  const deps = {
    authorizations,
    clock,
    rules: RULES,
    pendingValidity: 7 * DAY,
    wakeValidator: worker.wake,
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
    deps,
    order,
    get,
    respond,
    settled,
    start,
  };
}

const rightAnswer: RequestListener = (request, response) => {
  response.end(`${request.url?.split('/').at(-1)}.${THUMBPRINT}`);
};

describe('creating authorizations', () => {
  it('makes one pending authorization for each name, in order, and shares it between equal names', async () => {
    const { order, requester } = setUp();
    const made = await order('b.localhost', 'A.localhost', 'a.localhost');
    expect(made.map(({ identifier }) => identifier?.value)).toEqual([
      'b.localhost',
      'a.localhost',
      'a.localhost',
    ]);
    expect(made[1]?.authorizationId).toBe(made[2]?.authorizationId);
    const { challenges, ...rest } = made[0]!;
    expect(rest).toMatchObject({ requester, status: 'pending' });
    expect(challenges).toEqual([
      expect.objectContaining({ type: 'http-01', status: 'pending', error: '' }),
    ]);
    expect(Buffer.from(challenges[0]!.token, 'base64url')).toHaveLength(32);
  });

  it('refuses each bad name on its own (covers: T24, T25)', async () => {
    const { deps, requester } = setUp();
    const values = [
      'a.localhost',
      'a\u0000.localhost',
      '*.a.localhost',
      'under_score.example',
      '10.0.0.1',
      'single',
      '4.3.2.1.in-addr.arpa',
    ];
    const identifiers = values.map((value) => ({ type: 'dns', value }));
    const refusal = createAuthorizations(deps, { requester, identifiers });
    await expect(refusal).rejects.toMatchObject({
      code: 'REJECTED_IDENTIFIER',
      problems: [1, 2, 3, 4, 5, 6].map((index) => ({
        pointer: `/identifiers/${index}`,
        message: expect.any(String),
      })),
    });
    await expect(refusal).rejects.toThrow(/wildcards need dns-01/);
  });

  it('tells unsupported types from refused names', async () => {
    const { deps, requester } = setUp();
    const create = (type: string, value: string) =>
      codeOf(createAuthorizations(deps, { requester, identifiers: [{ type, value }] }));
    expect(await create('email', 'a@b.example')).toBe('UNSUPPORTED_IDENTIFIER');
    expect(await create('ip', '127.0.0.1')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', '10.1.2.3')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', 'fd00::1')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', '0x7f.1')).toBe('REJECTED_IDENTIFIER');
    expect(await create('ip', '2606:4700:0:0::1111')).toMatchObject([
      { identifier: { type: 'ip', value: '2606:4700::1111' } },
    ]);
    expect(await codeOf(createAuthorizations(deps, { requester, identifiers: [] }))).toBe(
      'INVALID_ARGUMENT',
    );
  });

  it('refuses local names in the strict profile', async () => {
    const { deps, requester } = setUp();
    const strict = { ...deps, rules: { development: false, allowedNetworks: [] } };
    const identifiers = [{ type: 'dns', value: 'a.localhost' }];
    expect(await codeOf(createAuthorizations(strict, { requester, identifiers }))).toBe(
      'REJECTED_IDENTIFIER',
    );
  });
});

describe('validating', () => {
  it('makes the authorization valid, with evidence and event in one transaction', async () => {
    answer = rightAnswer;
    const { order, respond, settled, start, eventLog, authorizations, requester } = setUp();
    await start();
    const [made] = await order('a.localhost');
    expect((await respond(made!)).challenges[0]?.status).toMatch(/processing|valid/);
    const valid = await settled(made!.authorizationId);
    expect(valid).toMatchObject({ status: 'valid', challenges: [{ status: 'valid', error: '' }] });
    expect(valid.expiresAt).toBeGreaterThan(made!.expiresAt);
    expect(valid.challenges[0]?.validatedAt).toBeGreaterThan(0);
    const [proof] = await authorizations.proofs(
      [valid.authorizationId],
      requester,
      systemClock.now(),
    );
    expect(proof?.validated).toEqual({ type: 'dns', value: 'a.localhost' });
    const [event] = await eventsOf(eventLog, valid.authorizationId);
    expect(event).toMatchObject({
      type: 'authorization.valid',
      actor: 'service:ra',
      data: { requester, evidence: { hops: [{ address: '127.0.0.1', status: 200 }] } },
    });
  });

  it('uses a valid authorization again, of the same requester only', async () => {
    answer = rightAnswer;
    const { order, respond, settled, start } = setUp();
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    await settled(made!.authorizationId);
    const again = await order('new.localhost', 'a.localhost');
    expect(again[1]?.authorizationId).toBe(made!.authorizationId);
    expect(again.map(({ status }) => status)).toEqual(['pending', 'valid']);
    const [foreign] = await setUp().order('a.localhost');
    expect(foreign?.authorizationId).not.toBe(made!.authorizationId);
  });

  it('makes the authorization invalid and says why', async () => {
    answer = (_request, response) => response.writeHead(404).end();
    const { order, respond, settled, start, eventLog } = setUp();
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    const invalid = await settled(made!.authorizationId);
    expect(invalid).toMatchObject({
      status: 'invalid',
      challenges: [{ status: 'invalid', validatedAt: 0 }],
    });
    expect(JSON.parse(invalid.challenges[0]!.error)).toEqual({
      type: 'urn:ietf:params:acme:error:unauthorized',
      detail: expect.stringContaining('status 404'),
      status: 403,
    });
    expect((await eventsOf(eventLog, made!.authorizationId)).map(({ type }) => type)).toEqual([
      'authorization.invalid',
    ]);
  });

  it('tries a server that cannot be reached three times', async () => {
    let attempts = 0;
    const fetcher: HopFetcher = {
      fetch(hop) {
        attempts++;
        return nodeHttpFetcher.fetch(hop);
      },
    };
    const { order, respond, settled, start } = setUp(systemClock, {
      port: 1,
      fetcher,
      resolver: { resolve: async () => ['127.0.0.1'] },
    });
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    const invalid = await settled(made!.authorizationId);
    expect(JSON.parse(invalid.challenges[0]!.error).type).toMatch(/connection$/);
    expect(attempts).toBe(3);
  });

  it('finds a server that appears at the second attempt', async () => {
    answer = rightAnswer;
    let attempts = 0;
    const resolver = { resolve: async () => (attempts++ === 0 ? ['127.0.0.9'] : ['127.0.0.1']) };
    const { order, respond, settled, start } = setUp(systemClock, { resolver });
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  it('goes on after the process died in the middle', async () => {
    answer = rightAnswer;
    const { order, respond, queue, start, settled, get } = setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    // The process that took it dies: its lease is over soon after.
    const now = systemClock.now();
    const claimed = await queue.claim(100, now, now + 50);
    expect(claimed.map(({ authorizationId }) => authorizationId)).toContain(made!.authorizationId);
    expect(await queue.claim(100, now, now + 50)).toEqual([]);
    expect((await get(made!.authorizationId)).status).toBe('pending');
    await start();
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  it('stores nothing when the step fails before its commit, and finishes later', async () => {
    answer = rightAnswer;
    const { order, respond, start, settled, get, worker, eventLog } = setUp();
    let failures = 0;
    installFaultHook((step, moment) => {
      if (step === 'ra.authorization' && moment === 'before' && failures++ === 0)
        throw new Error('power is gone');
    });
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    await eventually(async () => failures === 1, systemClock);
    expect((await get(made!.authorizationId)).status).toBe('pending');
    expect(await eventsOf(eventLog, made!.authorizationId)).toEqual([]);
    // The lease ends.
    await ra.pool.query('UPDATE challenge SET due_at = 0 WHERE authorization_id = $1', [
      made!.authorizationId,
    ]);
    worker.wake();
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  it('lets one of many responses start the validation', async () => {
    let asked = 0;
    answer = (request, response) => {
      asked++;
      rightAnswer(request, response);
    };
    const { order, respond, settled, start } = setUp();
    await start();
    const [made] = await order('a.localhost');
    await Promise.all(Array.from({ length: 16 }, () => respond(made!)));
    await settled(made!.authorizationId);
    expect((await respond(made!)).status).toBe('valid');
    expect(asked).toBe(1);
  });

  it('does not make a deactivated authorization valid', async () => {
    const { order, respond, queue, deps, requester, get, eventLog } = setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    const { authorizationId } = made!;
    const now = systemClock.now();
    const claimed = (await queue.claim(100, now, now + 1)).find(
      (one) => one.authorizationId === authorizationId,
    )!;
    expect((await deactivateAuthorization(deps, { authorizationId, requester })).status).toBe(
      'deactivated',
    );
    const evidence = { method: 'http-01' as const, identifier: claimed.identifier, hops: [] };
    expect(
      await queue.finish({ challenge: claimed, evidence, at: now, validUntil: now + DAY }),
    ).toBe(false);
    expect((await get(authorizationId)).status).toBe('deactivated');
    const { rows } = await ra.pool.query(
      'SELECT 1 FROM validation_evidence WHERE authorization_id = $1',
      [authorizationId],
    );
    expect(rows).toEqual([]);
    expect((await eventsOf(eventLog, authorizationId)).map(({ type }) => type)).toEqual([
      'authorization.deactivated',
    ]);
    expect(await queue.claim(100, now + DAY, now + DAY)).toEqual([]);
  });

  it('does not take evidence about another name', async () => {
    const { order, respond, queue, get } = setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    const now = systemClock.now();
    const claimed = (await queue.claim(100, now, now + 1)).find(
      (one) => one.authorizationId === made!.authorizationId,
    )!;
    const evidence = {
      method: 'http-01' as const,
      identifier: { type: 'dns', value: 'b.localhost' },
      hops: [],
    };
    expect(
      await queue.finish({ challenge: claimed, evidence, at: now, validUntil: now + DAY }),
    ).toBe(false);
    expect((await get(made!.authorizationId)).status).toBe('pending');
    await ra.pool.query(`UPDATE challenge SET status = 'invalid' WHERE authorization_id = $1`, [
      made!.authorizationId,
    ]);
  });
});

describe("authorizations are the requester's own", () => {
  it('and nobody else may respond or deactivate', async () => {
    const { order, respond, deps } = setUp();
    const [made] = await order('a.localhost');
    expect(await codeOf(respond(made!, 'acme:somebody-else'))).toBe('FORBIDDEN');
    const deactivation = {
      authorizationId: made!.authorizationId,
      requester: 'acme:somebody-else',
    };
    expect(await codeOf(deactivateAuthorization(deps, deactivation))).toBe('FORBIDDEN');
  });

  it('and a key authorization must fit the token', async () => {
    const { order, respond } = setUp();
    const [made] = await order('a.localhost');
    expect(await codeOf(respond(made!, made!.requester, 'short'))).toBe('BAD_KEY_AUTHORIZATION');
    expect(await codeOf(respond(made!, made!.requester, `${THUMBPRINT}.more`))).toBe(
      'BAD_KEY_AUTHORIZATION',
    );
    const challenges = [{ ...made!.challenges[0]!, token: 'another' }];
    expect(await codeOf(respond({ ...made!, challenges }))).toBe('BAD_KEY_AUTHORIZATION');
  });

  it('and what does not exist is not found', async () => {
    const { deps } = setUp();
    for (const id of [
      '00000000-0000-4000-8000-000000000000',
      'not-a-uuid',
      "'; DROP TABLE challenge; --",
    ]) {
      expect(await codeOf(readAuthorizations(deps, [id]))).toBe('AUTHORIZATION_NOT_FOUND');
    }
    expect(await codeOf(readAuthorizations(deps, []))).toBe('INVALID_ARGUMENT');
  });
});

describe('time', () => {
  it('expires pending authorizations, which cannot be validated any more', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    const { order, get, respond } = setUp(clock);
    const [made] = await order('a.localhost');
    clock.advance(7 * DAY);
    expect((await get(made!.authorizationId)).status).toBe('expired');
    const answered = await respond(made!);
    expect(answered.status).toBe('expired');
    expect(answered.challenges[0]?.status).toBe('pending');
  });

  it('ends the reuse of a valid authorization (covers: T40, the window)', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    const { order, respond, queue, authorizations, requester, get } = setUp(clock);
    const [made] = await order('a.localhost');
    await respond(made!);
    const [claimed] = await queue.claim(1, clock.now(), clock.now() + 1000);
    const evidence = { method: 'http-01' as const, identifier: claimed!.identifier, hops: [] };
    await queue.finish({
      challenge: claimed!,
      evidence,
      at: clock.now(),
      validUntil: clock.now() + 30 * DAY,
    });
    expect((await order('a.localhost'))[0]?.authorizationId).toBe(made!.authorizationId);
    clock.advance(30 * DAY);
    expect((await get(made!.authorizationId)).status).toBe('expired');
    expect((await order('a.localhost'))[0]?.authorizationId).not.toBe(made!.authorizationId);
    expect(await authorizations.proofs([made!.authorizationId], requester, clock.now())).toEqual(
      [],
    );
  });
});

describe('reaping', () => {
  it('deletes what nobody used, and keeps what was validated', async () => {
    answer = rightAnswer;
    const { order, respond, settled, start, get, eventLog, deps } = setUp();
    await start();
    const [used, unused] = await order('used.localhost', 'unused.localhost');
    await respond(used!);
    await settled(used!.authorizationId);
    await ra.pool.query(
      'UPDATE authorization_ SET expires_at = 1 WHERE authorization_id = ANY ($1)',
      [[used!.authorizationId, unused!.authorizationId]],
    );
    const worker = reaper({ pool: ra.pool, eventLog, clock: systemClock, log: silentLog });
    running.push(worker);
    await worker.start();
    const gone = () => codeOf(readAuthorizations(deps, [unused!.authorizationId]));
    await eventually(async () => (await gone()) === 'AUTHORIZATION_NOT_FOUND', systemClock);
    expect((await get(used!.authorizationId)).status).toBe('expired');
  });
});
