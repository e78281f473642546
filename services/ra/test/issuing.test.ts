import { randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { backlog } from '../src/adapters/backlog.ts';
import { issuingWorker } from '../src/adapters/issuing-worker.ts';
import { pgRequestStore } from '../src/adapters/pg-request-store.ts';
import { decideRequest } from '../src/approval/decide-request.ts';
import { createIssuer } from '../src/enrolment/issue-request.ts';
import { listRequests, readRequest } from '../src/enrolment/read-requests.ts';
import { submitRequest } from '../src/enrolment/submit-request.ts';
import { LONGEST_DELAY } from '../src/ports/request-store.ts';
import { useEnrolmentWorld } from './enrolment-world.ts';
import { codeOf, eventually, judgement, submission, unavailable } from './fixtures.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const world = useEnrolmentWorld();

describe('a CA that fails', () => {
  const retryable = [
    'UNAVAILABLE',
    'AUDIT_LAGGING',
    'DEADLINE_EXCEEDED',
    'KEY_UNAVAILABLE',
    'SIGNING_CLOSED',
  ] as const;

  it.each(retryable)(
    'with %s leaves the request approved, and the repetition issues it',
    async (code) => {
      world.api.ca.failWith = new GigvaultError(code, 'not now');
      const request = submission();
      expect(await codeOf(submitRequest(world.api, request))).toBe(code);
      expect(await readRequest(world.api.requests, request.requestId)).toMatchObject({
        status: 'approved',
        attempts: 1,
      });
      world.api.ca.failWith = undefined;
      expect((await submitRequest(world.api, request)).status).toBe('issued');
    },
  );

  it('for good fails the request for good', async () => {
    world.api.ca.failWith = new GigvaultError('LINT_FAILED', 'e_rule: broken');
    const request = submission();
    expect(await submitRequest(world.api, request)).toMatchObject({
      status: 'failed',
      errorCode: 'LINT_FAILED',
      errorMessage: 'e_rule: broken',
    });
    world.api.ca.failWith = undefined;
    expect((await submitRequest(world.api, request)).status).toBe('failed');
    expect(await world.eventTypes(request.requestId)).toEqual([
      'enrolment.submitted',
      'enrolment.approved',
      'enrolment.failed',
    ]);
  });

  it.each(['INTERNAL', 'FORBIDDEN', 'KEY_LOST'] as const)(
    'with %s, which nobody can explain, is asked for an hour, however often somebody asks',
    async (code) => {
      const clock = new FakeClock('2026-11-21T00:00:00Z');
      world.restart(clock);
      const request = submission();
      world.api.ca.failWith = new GigvaultError(code, 'Something went wrong on our side.');
      for (let poll = 0; poll < 20; poll++) {
        // Or that it is left alone for a while.
        expect([code, 'UNAVAILABLE']).toContain(await codeOf(submitRequest(world.api, request)));
        clock.advance(3_000);
      }
      clock.advance(HOUR - 61_000);
      expect(await codeOf(submitRequest(world.api, request))).toBe(code);
      clock.advance(LONGEST_DELAY);
      expect(await submitRequest(world.api, request)).toMatchObject({
        status: 'failed',
        errorCode: code,
      });
    },
  );

  it('is asked at once after a short outage, and ever more seldom in a long one, however often somebody asks', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    world.restart(clock);
    world.api.ca.failWith = new GigvaultError('KEY_UNAVAILABLE', 'The key gave a wrong signature.');
    const request = submission();
    const asked: number[] = [];
    const begun = clock.now();
    const poll = async () => {
      const code = await codeOf(submitRequest(world.api, request));
      if (code === 'KEY_UNAVAILABLE') asked.push(clock.now() - begun);
      else expect(code).toBe('UNAVAILABLE');
      clock.advance(500);
    };
    for (let n = 0; n < 1_200; n++) await poll();
    expect(asked.slice(0, 4)).toEqual([0, 500, 1_000, 1_500]);
    const pauses = asked.slice(1).map((at, n) => at - asked[n]!);
    expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
    expect(asked.length).toBeLessThan(22);
    expect(pauses.at(-1)).toBe(LONGEST_DELAY);
    world.api.ca.failWith = undefined;
    clock.advance(LONGEST_DELAY);
    expect((await submitRequest(world.api, request)).status).toBe('issued');
  });

  it('is asked again by the worker until it answers', async () => {
    world.api.ca.failWith = unavailable();
    const request = submission();
    await codeOf(submitRequest(world.api, request));
    await world.pool.query('UPDATE enrolment_request SET due_at = 0 WHERE request_id = $1', [
      request.requestId,
    ]);
    world.api.ca.failWith = undefined;
    const worker = issuingWorker({
      issuing: pgRequestStore(world.pool, world.api.eventLog),
      issuer: world.api.issuer,
      clock: systemClock,
      clockGuard: world.api.clockGuard,
      log: silentLog,
    });
    await worker.start();
    try {
      await eventually(
        async () => (await readRequest(world.api.requests, request.requestId)).status === 'issued',
        systemClock,
      );
    } finally {
      await worker.stop();
    }
  });

  it('has issued, but the RA died before it knew: the next one learns the same certificate (covers: T5)', async () => {
    installFaultHook((step, moment) => {
      if (step === 'ra.issued' && moment === 'before') throw new Error('power is gone');
    });
    const request = submission();
    await codeOf(submitRequest(world.api, request));
    installFaultHook(undefined);
    const serialNumber = world.api.ca.certificates.get(request.requestId);
    // Another process, with nothing but the database.
    const other = {
      ...world.api,
      issuer: createIssuer({
        requests: world.api.requests,
        issuing: pgRequestStore(world.pool, world.api.eventLog),
        proofs: world.api.proofs,
        ca: world.api.ca,
        clock: systemClock,
        clockGuard: world.api.clockGuard,
      }),
    };
    expect(await submitRequest(other, request)).toMatchObject({ status: 'issued', serialNumber });
  });

  it('is leased to one worker at a time', async () => {
    world.api.ca.failWith = unavailable();
    const request = submission();
    await codeOf(submitRequest(world.api, request));
    await world.pool.query('UPDATE enrolment_request SET due_at = 0 WHERE request_id = $1', [
      request.requestId,
    ]);
    const store = pgRequestStore(world.pool, world.api.eventLog);
    const now = systemClock.now();
    const claims = await Promise.all(
      [1, 2, 3, 4].map(() => store.claimApproved(16, now, now + 60_000)),
    );
    expect(claims.flat().filter(({ requestId }) => requestId === request.requestId)).toHaveLength(
      1,
    );
  });
});

describe('approving', () => {
  async function pending(approvals = 1, change: Parameters<typeof submission>[0] = {}) {
    world.api.policy.judgement = judgement('review', approvals);
    const request = submission(change);
    const stored = await submitRequest(world.api, request);
    expect(stored).toMatchObject({ status: 'pending', approvalsNeeded: approvals });
    expect(world.api.ca.calls).toEqual([]);
    const vote = (actor: string, approve = true) =>
      decideRequest(world.api, { requestId: request.requestId, actor, approve, comment: 'seen' });
    return { request, vote };
  }

  it('issues at the last approval that was needed (covers: G18)', async () => {
    const { request, vote } = await pending(2);
    expect(await vote('user:2')).toMatchObject({
      status: 'pending',
      votes: [{ actor: 'user:2', approve: true, comment: 'seen' }],
    });
    expect(await vote('user:3')).toMatchObject({
      status: 'issued',
      votes: [{ actor: 'user:2' }, { actor: 'user:3' }],
    });
    expect(world.api.ca.calls).toHaveLength(1);
    expect(await world.eventTypes(request.requestId)).toEqual([
      'enrolment.submitted',
      'enrolment.voted',
      'enrolment.voted',
      'enrolment.approved',
    ]);
  });

  it('is never done by the requester', async () => {
    const { request, vote } = await pending();
    expect(await codeOf(vote(request.requester))).toBe('SELF_APPROVAL');
    expect(await codeOf(vote(request.requester, false))).toBe('SELF_APPROVAL');
    const now = systemClock.now();
    const straight = {
      requestId: request.requestId,
      actor: request.requester,
      approve: true,
      comment: '',
      at: now,
      madeAfter: 0,
      dueAt: now,
    };
    expect(await world.api.votes.vote(straight)).toBe('not pending');
    expect((await readRequest(world.api.requests, request.requestId)).status).toBe('pending');
  });

  it('counts one vote of a person, however often and fast it is cast', async () => {
    const { request, vote } = await pending(3);
    const results = await Promise.all(Array.from({ length: 8 }, () => codeOf(vote('user:2'))));
    expect(results.filter((result) => result === 'ALREADY_EXISTS')).toHaveLength(7);
    const stored = await readRequest(world.api.requests, request.requestId);
    expect(stored.status).toBe('pending');
    expect(stored.votes).toHaveLength(1);
    const { rows } = await world.pool.query(
      'SELECT approvals FROM enrolment_request WHERE request_id = $1',
      [request.requestId],
    );
    expect(rows).toEqual([{ approvals: 1 }]);
  });

  it('counts every vote that comes at once, and issues one certificate', async () => {
    const { request, vote } = await pending(5);
    const results = await Promise.all(
      [2, 3, 4, 5, 6, 7, 8, 9].map((user) => codeOf(vote(`user:${user}`))),
    );
    expect(results.filter((result) => result === 'REQUEST_NOT_PENDING')).toHaveLength(3);
    expect((await readRequest(world.api.requests, request.requestId)).votes).toHaveLength(5);
    expect(world.api.ca.certificates.size).toBe(1);
  });

  it('is timed once, from the submission to the vote that decided', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    world.restart(clock);
    const { vote } = await pending(2);
    clock.advance(HOUR);
    await vote('user:2');
    expect(world.api.waits).toEqual([]);
    clock.advance(HOUR);
    await vote('user:3');
    await codeOf(vote('user:4'));
    expect(world.api.waits).toEqual([2 * HOUR]);
  });

  it('is what the gauge counts, whoever decides', async () => {
    const counts: number[] = [];
    const waiting: number[] = [];
    const gauge = backlog({
      requests: world.api.requests,
      validations: { countWaiting: async () => 7 },
      clock: systemClock,
      log: silentLog,
      metrics: {
        pending: (count) => counts.push(count),
        validating: (count) => waiting.push(count),
      },
    });
    const before = await world.api.requests.countPending();
    const { vote } = await pending();
    await gauge.start();
    try {
      await eventually(async () => counts.at(-1) === before + 1, systemClock);
      await vote('user:2');
      expect(await world.api.requests.countPending()).toBe(before);
      expect(waiting).toContain(7);
    } finally {
      await gauge.stop();
    }
  });

  it('ends at the first rejection', async () => {
    const { request, vote } = await pending(2);
    await vote('user:2');
    expect((await vote('user:3', false)).status).toBe('rejected');
    expect(world.api.waits).toHaveLength(1);
    expect(await codeOf(vote('user:4'))).toBe('REQUEST_NOT_PENDING');
    expect(world.api.ca.calls).toEqual([]);
    expect((await world.eventTypes(request.requestId)).at(-1)).toBe('enrolment.rejected');
  });

  it('stands although the CA cannot answer', async () => {
    const { request, vote } = await pending();
    world.api.ca.failWith = unavailable();
    expect((await vote('user:2')).status).toBe('approved');
    world.api.ca.failWith = undefined;
    expect((await submitRequest(world.api, request)).status).toBe('issued');
  });

  it('does not cost the certificate a part of its life', async () => {
    const clock = new FakeClock('2026-11-21T00:00:00Z');
    world.restart(clock);
    const { vote } = await pending(1, { notAfter: clock.now() + 30 * DAY });
    clock.advance(5 * DAY);
    await vote('user:2');
    expect(world.api.ca.calls[0]?.notAfter).toBe(clock.now() + 30 * DAY);
  });

  it('knows only requests that exist', async () => {
    expect(
      await codeOf(
        decideRequest(world.api, {
          requestId: randomUUID(),
          actor: 'user:2',
          approve: true,
          comment: '',
        }),
      ),
    ).toBe('REQUEST_NOT_FOUND');
    expect(
      await codeOf(
        decideRequest(world.api, { requestId: 'x', actor: 'user:2', approve: true, comment: '' }),
      ),
    ).toBe('REQUEST_NOT_FOUND');
  });

  it('needs as many people as the configuration says, when policy is content with fewer', async () => {
    world.api = { ...world.api, approvals: 2 };
    world.api.policy.judgement = judgement('review', 1);
    expect((await submitRequest(world.api, submission())).approvalsNeeded).toBe(2);
  });
});

describe('listing', () => {
  it('pages through, newest first, by status and requester', async () => {
    const clock = new FakeClock('2027-01-01T00:00:00Z');
    world.restart(clock);
    const requester = `user:${randomUUID()}`;
    const ids: string[] = [];
    for (let index = 0; index < 5; index++) {
      world.api.policy.judgement = judgement(index % 2 === 0 ? 'allow' : 'deny');
      // Two at the same millisecond.
      clock.advance(index % 2);
      ids.unshift((await submitRequest(world.api, submission({ requester }))).requestId);
    }
    const seen: string[] = [];
    let cursor = '';
    do {
      const page = await listRequests(world.api.requests, {
        requester,
        status: '',
        limit: 2,
        cursor,
      });
      seen.push(...page.items.map(({ requestId }) => requestId));
      cursor = page.nextCursor;
    } while (cursor !== '');
    expect([...seen].sort()).toEqual([...ids].sort());
    const denied = await listRequests(world.api.requests, {
      requester,
      status: 'denied',
      limit: 0,
      cursor: '',
    });
    expect(denied.items).toHaveLength(2);
    expect(
      await codeOf(
        listRequests(world.api.requests, { requester, status: '', limit: 1, cursor: 'nonsense' }),
      ),
    ).toBe('INVALID_ARGUMENT');
  });
});
