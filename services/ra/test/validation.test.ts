import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { nodeHttpFetcher } from '../src/adapters/node-http-fetcher.ts';
import { validationWorker } from '../src/adapters/validation-worker.ts';
import { deactivateAuthorization } from '../src/authorization/deactivate-authorization.ts';
import type { HopFetcher } from '../src/ports/hop-fetcher.ts';
import {
  ALL,
  type AuthorizationFixture,
  rightAnswer,
  startAuthorizationFixture,
} from './authorization-fixture.ts';
import { eventsOf, eventually } from './fixtures.ts';

const DAY = 86_400_000;

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

  it('is taken up within seconds when its process dies under it', async () => {
    // It asks, and hears nothing more; nor does the database hear of it.
    const lost = () => Promise.reject(new Error('dead'));
    const dying = fixture.setUp();
    const asked = Promise.withResolvers<void>();
    const dead = validationWorker({
      ...dying.workerOptions,
      fetcher: {
        fetch({ signal }) {
          asked.resolve();
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason)),
          );
        },
      },
      queue: { ...dying.queue, renew: lost, finish: lost, postpone: lost },
    });
    const [made] = await dying.order('a.localhost');
    await dying.respond(made!);
    await dead.start();
    await asked.promise;
    const died = systemClock.now();
    await dying.start();
    expect((await dying.settled(made!.authorizationId)).status).toBe('valid');
    expect(systemClock.now() - died).toBeLessThan(10_000);
    await dead.stop();
  });

  it('is nobody else’s for as long as its process lives', async () => {
    let asked = 0;
    fixture.answer = (request, response) => {
      asked++;
      systemClock.sleep(2_000).then(() => rightAnswer(request, response), undefined);
    };
    const { order, respond, settled, start, workerOptions, queue } = fixture.setUp(systemClock, {
      lease: 1_000,
    });
    await start();
    const [made] = await order('a.localhost');
    await respond(made!);
    await eventually(async () => asked === 1, systemClock);
    const second = validationWorker({ ...workerOptions, queue });
    await second.start();
    try {
      expect((await settled(made!.authorizationId)).status).toBe('valid');
      expect(asked).toBe(1);
    } finally {
      await second.stop();
    }
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
