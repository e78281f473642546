import { setImmediate as turn } from 'node:timers/promises';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { nodeHttpFetcher } from '../src/adapters/node-http-fetcher.ts';
import { validationWorker } from '../src/adapters/validation-worker.ts';
import { deactivateAuthorization } from '../src/authorization/deactivate-authorization.ts';
import type { HopFetcher } from '../src/ports/hop-fetcher.ts';
import type { ValidationQueue } from '../src/ports/validation-queue.ts';
import {
  ALL,
  type AuthorizationFixture,
  rightAnswer,
  startAuthorizationFixture,
} from './authorization-fixture.ts';
import { eventsOf, eventually } from './fixtures.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let fixture: AuthorizationFixture;
beforeAll(async () => {
  fixture = await startAuthorizationFixture();
});
afterEach(() => fixture.reset());
afterAll(() => fixture.stop());

describe('validating', () => {
  it('makes the authorization valid, with evidence and event in one transaction', async () => {
    const { order, respond, settled, start, eventLog, authorizations, requester } = fixture.setUp();
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
    const { order, respond, settled, start } = fixture.setUp();
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    await settled(made!.authorizationId);
    const again = await order('new.localhost', 'a.localhost');
    expect(again[1]?.authorizationId).toBe(made!.authorizationId);
    expect(again.map(({ status }) => status)).toEqual(['pending', 'valid']);
    const [foreign] = await fixture.setUp().order('a.localhost');
    expect(foreign?.authorizationId).not.toBe(made!.authorizationId);
  });

  it('makes the authorization invalid and says why', async () => {
    fixture.answer = (_request, response) => response.writeHead(404).end();
    const { order, respond, settled, start, eventLog } = fixture.setUp();
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
    const { order, respond, settled, start } = fixture.setUp(systemClock, {
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
    let attempts = 0;
    const resolver = { resolve: async () => (attempts++ === 0 ? ['127.0.0.9'] : ['127.0.0.1']) };
    const { order, respond, settled, start } = fixture.setUp(systemClock, { resolver });
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  it('goes on after the process died in the middle', async () => {
    const { order, respond, queue, start, settled, get } = fixture.setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    // The process that took it dies: its lease is over soon after.
    const now = systemClock.now();
    const claimed = await queue.claim(100, now, now + 50, ALL);
    expect(claimed.map(({ authorizationId }) => authorizationId)).toContain(made!.authorizationId);
    expect(await queue.claim(100, now, now + 50, ALL)).toEqual([]);
    expect((await get(made!.authorizationId)).status).toBe('pending');
    await start();
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  /** Counts the rounds of a worker over this queue. */
  const watched = (queue: ValidationQueue) => {
    const seen = { rounds: 0 };
    const claim: ValidationQueue['claim'] = async (...args) => {
      const claimed = await queue.claim(...args);
      seen.rounds += 1;
      return claimed;
    };
    return { seen, queue: { ...queue, claim } };
  };

  /** Lets time pass, and a worker have a round after it. */
  const pass = async (clock: FakeClock, ms: number, seen: { readonly rounds: number }) => {
    const { rounds } = seen;
    clock.advance(ms);
    await eventually(async () => seen.rounds > rounds, systemClock);
    // It sleeps again.
    await turn();
  };

  it('is taken up within seconds when its process dies under it', async () => {
    // It asks, and hears nothing more; nor does the database hear of it.
    const lost = () => Promise.reject(new Error('dead'));
    const clock = new FakeClock(systemClock.now());
    const dying = fixture.setUp(clock, { timeout: 60_000 });
    const asked = Promise.withResolvers<void>();
    let died = false;
    const dead = validationWorker({
      ...dying.workerOptions,
      fetcher: {
        fetch({ signal }) {
          died = true;
          asked.resolve();
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
        },
      },
      queue: {
        ...dying.queue,
        claim: (...args) => (died ? lost() : dying.queue.claim(...args)),
        renew: lost,
        finish: lost,
        postpone: lost,
      },
    });
    const [made] = await dying.order('a.localhost');
    await dying.respond(made!);
    await dead.start();
    await asked.promise;
    const { seen, queue } = watched(dying.queue);
    const second = validationWorker({ ...dying.workerOptions, queue });
    await second.start();
    await eventually(async () => seen.rounds > 0, systemClock);
    await turn();
    // A lease and a pause.
    for (let passed = 0; passed < 5_000; passed += 500) await pass(clock, 500, seen);
    expect((await dying.settled(made!.authorizationId)).status).toBe('valid');
    await second.stop();
    await dead.stop();
  });

  it('is nobody else’s for as long as its process lives, though the database is away for a moment', async () => {
    let asked = 0;
    const answered = Promise.withResolvers<void>();
    fixture.answer = (request, response) => {
      asked++;
      answered.promise.then(() => rightAnswer(request, response), undefined);
    };
    const clock = new FakeClock(systemClock.now());
    const { order, respond, settled, workerOptions, queue } = fixture.setUp(clock, {
      lease: 60_000,
      timeout: 900_000,
    });
    let failures = 0;
    const away = () => Promise.reject(new Error('away'));
    const busy = {
      ...queue,
      claim: (...args: Parameters<typeof queue.claim>) => (asked ? away() : queue.claim(...args)),
      renew: (...args: Parameters<typeof queue.renew>) =>
        failures++ < 3 ? away() : queue.renew(...args),
    };
    const first = validationWorker({ ...workerOptions, queue: busy });
    const other = watched(queue);
    const second = validationWorker({ ...workerOptions, queue: other.queue });
    const [made] = await order('a.localhost');
    await respond(made!);
    const leasedFor = async () => {
      const text = 'SELECT due_at FROM challenge WHERE authorization_id = $1';
      const { rows } = await fixture.ra.pool.query(text, [made!.authorizationId]);
      return rows[0].due_at - clock.now();
    };
    await first.start();
    try {
      await eventually(async () => asked === 1, systemClock);
      await second.start();
      await eventually(async () => other.seen.rounds > 0, systemClock);
      await turn();
      // Three leases. Renewals come when a quarter is over, and the first three fail, an eighth apart.
      for (let passed = 0; passed < 180_000; passed += 7_500) {
        await pass(clock, 7_500, other.seen);
        if (passed >= 45_000)
          await eventually(async () => (await leasedFor()) >= 45_000 - 7_500, systemClock);
      }
      expect(asked).toBe(1);
      answered.resolve();
      expect((await settled(made!.authorizationId)).status).toBe('valid');
      expect(asked).toBe(1);
    } finally {
      answered.resolve();
      await first.stop();
      await second.stop();
    }
  });

  it('is tried as often as is promised, whatever leases were lost', async () => {
    const { order, respond, queue } = fixture.setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    let now = systemClock.now();
    const claim = async () => {
      const claimed = await queue.claim(100, now, now + 1_000, ALL);
      now += 1_000;
      return claimed.find((one) => one.authorizationId === made!.authorizationId)!;
    };
    const first = await claim();
    const second = await claim();
    expect([first.attempt, second.attempt]).toEqual([1, 1]);
    // Both come to an end: it was one attempt.
    await queue.postpone(second, now);
    await queue.postpone(first, now + DAY);
    expect((await claim()).attempt).toBe(2);
    await fixture.ra.pool.query(
      `UPDATE challenge SET status = 'invalid' WHERE authorization_id = $1`,
      [made!.authorizationId],
    );
  });

  it('is due at once though the clock was set forward, and when it is right again — covers: T15', async () => {
    const clock = new FakeClock(systemClock.now());
    const { order, respond, queue, start, settled, workerOptions } = fixture.setUp(clock);
    const [made] = await order('a.localhost');
    clock.step(HOUR);
    await respond(made!);
    // Claimed by the wrong clock, by a process that dies.
    const asked = Promise.withResolvers<void>();
    const lost = () => Promise.reject(new Error('dead'));
    const dead = validationWorker({
      ...workerOptions,
      fetcher: {
        fetch() {
          asked.resolve();
          return lost();
        },
      },
      queue: { ...queue, renew: lost, finish: lost, postpone: lost },
    });
    await dead.start();
    await asked.promise;
    await dead.stop();
    clock.step(-HOUR);
    clock.advance(5_000);
    await start();
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  it('is due at once for a process that comes up with the right clock, after one whose clock was ahead — covers: T15', async () => {
    const clock = new FakeClock(systemClock.now() + HOUR);
    const ahead = fixture.setUp(clock);
    const [made] = await ahead.order('a.localhost');
    await ahead.respond(made!);
    clock.step(-HOUR);
    const right = fixture.setUp(clock);
    await right.start();
    expect((await right.settled(made!.authorizationId)).status).toBe('valid');
  });

  it('stores nothing when the step fails before its commit, and finishes later', async () => {
    const { order, respond, start, settled, get, worker, eventLog } = fixture.setUp();
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
    await fixture.ra.pool.query('UPDATE challenge SET due_at = 0 WHERE authorization_id = $1', [
      made!.authorizationId,
    ]);
    worker.wake();
    expect((await settled(made!.authorizationId)).status).toBe('valid');
  });

  it('lets one of many responses start the validation', async () => {
    let asked = 0;
    fixture.answer = (request, response) => {
      asked++;
      rightAnswer(request, response);
    };
    const { order, respond, settled, start } = fixture.setUp();
    await start();
    const [made] = await order('a.localhost');
    await Promise.all(Array.from({ length: 16 }, () => respond(made!)));
    await settled(made!.authorizationId);
    expect((await respond(made!)).status).toBe('valid');
    expect(asked).toBe(1);
  });

  it('does not make a deactivated authorization valid', async () => {
    const { order, respond, queue, deps, requester, get, eventLog } = fixture.setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    const { authorizationId } = made!;
    const now = systemClock.now();
    const claimed = (await queue.claim(100, now, now + 1, ALL)).find(
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
    const { rows } = await fixture.ra.pool.query(
      'SELECT 1 FROM validation_evidence WHERE authorization_id = $1',
      [authorizationId],
    );
    expect(rows).toEqual([]);
    expect((await eventsOf(eventLog, authorizationId)).map(({ type }) => type)).toEqual([
      'authorization.deactivated',
    ]);
    expect(await queue.claim(100, now + DAY, now + DAY, ALL)).toEqual([]);
  });

  it('does not take evidence about another name', async () => {
    const { order, respond, queue, get } = fixture.setUp();
    const [made] = await order('a.localhost');
    await respond(made!);
    const now = systemClock.now();
    const claimed = (await queue.claim(100, now, now + 1, ALL)).find(
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
    await fixture.ra.pool.query(
      `UPDATE challenge SET status = 'invalid' WHERE authorization_id = $1`,
      [made!.authorizationId],
    );
  });
});
