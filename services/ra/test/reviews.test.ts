import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { pgAuthorizationStore } from '../src/adapters/pg-authorization-store.ts';
import { reviewWorker } from '../src/adapters/review-worker.ts';
import { decideRequest } from '../src/approval/decide-request.ts';
import { expireReviews } from '../src/approval/expire-reviews.ts';
import { readRequest } from '../src/enrolment/read-requests.ts';
import type { StoredRequest } from '../src/enrolment/stored-request.ts';
import { submitRequest } from '../src/enrolment/submit-request.ts';
import { useEnrolmentWorld } from './enrolment-world.ts';
import { codeOf, eventsOf, eventually, judgement, submission, unavailable } from './fixtures.ts';

const DAY = 86_400_000;
const REQUESTER = 'acme:1';

const world = useEnrolmentWorld();
let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock(systemClock.now());
  world.restart(clock);
});

/** A request of an ACME account, proved for `lasts` milliseconds. */
async function submitProved(outcome: 'allow' | 'review', lasts = 10 * DAY) {
  world.api.policy.judgement = judgement(outcome);
  const expiresAt = clock.now() + lasts;
  const authorizationId = await world.prove(REQUESTER, 'a.localhost', 'a.localhost', expiresAt);
  const request = submission({
    protocol: 'acme',
    requester: REQUESTER,
    authorizationIds: [authorizationId],
  });
  const submit = () => submitRequest(world.api, request);
  return { requestId: request.requestId, authorizationId, submit };
}

function dieAt(where: string, when: 'before' | 'after'): void {
  installFaultHook((step, moment) => {
    if (step === where && moment === when) throw new Error('power is gone');
  });
}

function approve(requestId: string): Promise<StoredRequest> {
  return decideRequest(world.api, { requestId, actor: 'user:2', approve: true, comment: '' });
}

function deactivate(authorizationId: string) {
  const authorizations = pgAuthorizationStore(world.pool, world.api.eventLog);
  return authorizations.deactivate(authorizationId, REQUESTER, clock.now());
}

describe('proofs that lapse while people decide', () => {
  it.each([
    ['given up', (id: string) => deactivate(id)],
    ['expired', async () => clock.advance(10 * DAY)],
  ])('fail the request when they were %s (covers: T40, the window)', async (_how, lapse) => {
    const { requestId, authorizationId, submit } = await submitProved('review');
    expect((await submit()).status).toBe('pending');
    await lapse(authorizationId);
    expect(await approve(requestId)).toMatchObject({
      status: 'failed',
      errorCode: 'UNAUTHORIZED_IDENTIFIER',
      errorMessage: expect.stringContaining('a.localhost'),
    });
    expect(world.api.ca.calls).toEqual([]);
    expect((await world.eventTypes(requestId)).slice(-2)).toEqual([
      'enrolment.approved',
      'enrolment.failed',
    ]);
  });

  it('do not matter while they last', async () => {
    const { requestId, submit } = await submitProved('review');
    await submit();
    clock.advance(9 * DAY);
    expect((await approve(requestId)).status).toBe('issued');
  });

  it('are not asked of requests that policy judges alone', async () => {
    world.api.policy.judgement = judgement('review');
    const { requestId } = await submitRequest(world.api, submission());
    expect((await approve(requestId)).status).toBe('issued');
  });

  it('take nothing from a request whose certificate the CA may have issued (covers: T5)', async () => {
    const { requestId, authorizationId, submit } = await submitProved('review');
    await submit();
    dieAt('ra.issued', 'before');
    expect((await approve(requestId)).status).toBe('approved');
    installFaultHook(undefined);
    await deactivate(authorizationId);
    const serialNumber = world.api.ca.certificates.get(requestId);
    expect(await submit()).toMatchObject({ status: 'issued', serialNumber });
  });

  it.each(['before', 'after'] as const)(
    'are no worse for a process that dies %s it writes down that the CA is asked (covers: T5)',
    async (died) => {
      const { requestId, submit } = await submitProved('review');
      await submit();
      dieAt('ra.asked', died);
      expect((await approve(requestId)).status).toBe('approved');
      expect(world.api.ca.calls).toEqual([]);
      installFaultHook(undefined);
      expect((await submit()).status).toBe('issued');
      expect(world.api.ca.calls).toHaveLength(1);
    },
  );

  it('do not fail a request for which another process has asked the CA meanwhile', async () => {
    const { requestId, authorizationId, submit } = await submitProved('review');
    await submit();
    world.api.ca.failWith = unavailable();
    let seenBefore: StoredRequest | undefined;
    installFaultHook(async (step, moment) => {
      if (step === 'ra.asked' && moment === 'before')
        seenBefore = await readRequest(world.api.requests, requestId);
    });
    await approve(requestId);
    installFaultHook(undefined);
    await deactivate(authorizationId);
    expect(seenBefore?.askedAt).toBe(0);
    expect((await world.api.issuer.issue(seenBefore!)).status).toBe('approved');
  });
});

describe('reviews that nobody decides', () => {
  const pending = async () => {
    world.api.policy.judgement = judgement('review');
    return (await submitRequest(world.api, submission())).requestId;
  };

  it('end with their event after thirty days, and not before', async () => {
    const requestId = await pending();
    clock.advance(30 * DAY - 1);
    expect(await expireReviews(world.api)).toBe(0);
    clock.advance(1);
    expect(await expireReviews(world.api)).toBe(1);
    const error = { errorCode: 'REQUEST_NOT_PENDING', errorMessage: expect.any(String) };
    const ended = await readRequest(world.api.requests, requestId);
    expect(ended).toMatchObject({ status: 'failed', ...error });
    const events = await eventsOf(world.api.eventLog, requestId);
    expect(events.map(({ type }) => type)).toEqual(['enrolment.submitted', 'enrolment.failed']);
    expect(events[1]).toMatchObject({ actor: 'service:ra', data: { requestId, ...error } });
    expect(await expireReviews(world.api)).toBe(0);
  });

  it.each([
    ['before', 1],
    ['after', 0],
  ] as const)('end once when the process dies %s they ended', async (died, left) => {
    const requestId = await pending();
    clock.advance(30 * DAY);
    dieAt('ra.expired', died);
    await expect(expireReviews(world.api)).rejects.toThrow('power is gone');
    installFaultHook(undefined);
    expect(await expireReviews(world.api)).toBe(left);
    expect(await world.eventTypes(requestId)).toEqual(['enrolment.submitted', 'enrolment.failed']);
  });

  it('take no votes when their time is over, although nobody has ended them yet', async () => {
    const requestId = await pending();
    clock.advance(30 * DAY);
    expect(await codeOf(approve(requestId))).toBe('REQUEST_NOT_PENDING');
    expect(world.api.ca.calls).toEqual([]);
    await expireReviews(world.api);
    await expect(approve(requestId)).rejects.toThrow(/failed, not pending/);
  });

  it('are ended by their worker', async () => {
    const requestId = await pending();
    clock.advance(30 * DAY);
    const worker = reviewWorker({
      ...world.api,
      clock,
      clockGuard: createClockGuard(clock),
      log: silentLog,
    });
    await worker.start();
    try {
      await eventually(
        async () => (await readRequest(world.api.requests, requestId)).status === 'failed',
        systemClock,
      );
    } finally {
      await worker.stop();
    }
  });
});
