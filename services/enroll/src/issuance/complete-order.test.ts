import { silentLog } from '@gigvault/telemetry/log';
import { FakeClock } from '@gigvault/time/clock';
import { type ClockGuard, createClockGuard } from '@gigvault/time/clock-guard';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { csrFor } from '../../test/acme-test-client.ts';
import { memoryCertificateAuthority } from '../../test/memory-certificate-authority.ts';
import {
  type MemoryRegistrationAuthority,
  memoryRegistrationAuthority,
} from '../../test/memory-registration-authority.ts';
import { memoryOrders } from '../adapters/memory-orders.ts';
import { someOrder } from '../ports/orders.contract.ts';
import type { Order } from '../ports/orders.ts';
import { createOrderCompletion, type OrderCompletion } from './complete-order.ts';
import { resumeOrders } from './resume-orders.ts';

const MINUTE = 60_000;

let clock: FakeClock;
let clockGuard: ClockGuard;
let ra: MemoryRegistrationAuthority;
let orders: ReturnType<typeof memoryOrders>;
let completion: OrderCompletion;

beforeEach(() => {
  clock = new FakeClock(1_700_000_000_000);
  ra = memoryRegistrationAuthority(memoryCertificateAuthority(clock.now()), () => clock.now());
  orders = memoryOrders();
  restart();
});

/** A process that comes up and believes the clock as it is. */
function restart(): void {
  clockGuard = createClockGuard(clock);
  completion = createOrderCompletion({
    orders,
    enrolment: ra,
    clock,
    clockGuard,
    log: silentLog,
  });
}

async function processingOrder(): Promise<Order> {
  const now = clock.now();
  const order = someOrder('account', {
    status: 'ready',
    createdAt: now,
    expiresAt: now + 60 * MINUTE,
  });
  await orders.create(order);
  const certificationRequest = Buffer.from(csrFor(['a.example']).csr, 'base64url');
  const step = {
    from: 'ready',
    to: 'processing',
    certificationRequest,
    resumeAt: now + MINUTE,
  } as const;
  return (await orders.step(order, step))!;
}

describe('completing an order', () => {
  it('is one run for all who ask at the same time — covers: T1', async () => {
    const order = await processingOrder();
    const results = await Promise.all(Array.from({ length: 64 }, () => completion.complete(order)));
    expect(new Set(results.map((result) => result.serialNumber)).size).toBe(1);
    expect(ra.submissions).toHaveLength(1);
  });

  it('submits what the order fixed', async () => {
    const order = await processingOrder();
    await completion.complete(order);
    expect(ra.submissions[0]).toMatchObject({
      requestId: order.requestId,
      protocol: 'acme',
      requester: 'acme:account',
      profile: 'tls-server',
      profileHash: 'hash',
      authorizationIds: ['authorization'],
      subjectAltName: [{ type: 'dns', value: 'a.example' }],
    });
  });

  it('asks later while people decide, with longer pauses as time goes on', async () => {
    const order = await processingOrder();
    ra.verdict = 'review';
    const sweep = { sweep: orders, completion, clockGuard };
    clock.advance(MINUTE);
    expect(await resumeOrders(sweep, 'pause')).toBe(1);
    clock.advance(2_999);
    expect(await resumeOrders(sweep, 'pause')).toBe(0);
    clock.advance(1);
    expect(await resumeOrders(sweep, 'pause')).toBe(1);
    ra.verdict = 'issue';
    clock.advance(10 * MINUTE);
    await resumeOrders(sweep, 'pause');
    expect((await orders.find(order.orderId))?.status).toBe('valid');
  });

  it('takes up at its start what the process before it had leased — covers: T5', async () => {
    const order = await processingOrder();
    expect(await resumeOrders({ sweep: orders, completion, clockGuard }, 'pause')).toBe(0);
    expect(await resumeOrders({ sweep: orders, completion, clockGuard }, 'start')).toBe(1);
    expect((await orders.find(order.orderId))?.status).toBe('valid');
  });

  it.each(['unavailable', 'forbidden'] as const)(
    'keeps on asking an RA that is %s, long after the order has expired — covers: T17',
    async (verdict) => {
      const order = await processingOrder();
      ra.verdict = verdict;
      clock.advance(30 * 24 * 60 * MINUTE);
      expect((await completion.complete(order)).status).toBe('processing');
      const sweep = { sweep: orders, completion, clockGuard };
      clock.advance(10 * MINUTE - 1);
      expect(await resumeOrders(sweep, 'pause')).toBe(0);
      ra.verdict = 'issue';
      clock.advance(1);
      expect(await resumeOrders(sweep, 'pause')).toBe(1);
      expect((await orders.find(order.orderId))?.status).toBe('valid');
    },
  );

  it.each([
    ['an hour ahead', 60 * MINUTE],
    ['five minutes ahead', 5 * MINUTE],
  ])(
    'takes up within seconds what it paused while the clock was %s — covers: T15',
    async (_how, ahead) => {
      const order = await processingOrder();
      ra.verdict = 'unavailable';
      clock.step(ahead);
      expect((await completion.complete(order)).status).toBe('processing');
      clock.step(-ahead);
      ra.verdict = 'issue';
      clock.advance(2_000);
      expect(await resumeOrders({ sweep: orders, completion, clockGuard }, 'pause')).toBe(1);
      expect((await orders.find(order.orderId))?.status).toBe('valid');
    },
  );

  it.each(['start', 'pause'] as const)(
    'takes up after a %s what a process paused that came up with the clock an hour ahead — covers: T15',
    async (after) => {
      clock.step(60 * MINUTE);
      restart();
      const order = await processingOrder();
      ra.verdict = 'unavailable';
      expect((await completion.complete(order)).status).toBe('processing');
      clock.step(-60 * MINUTE);
      restart();
      ra.verdict = 'issue';
      expect(await resumeOrders({ sweep: orders, completion, clockGuard }, after)).toBe(1);
      expect((await orders.find(order.orderId))?.status).toBe('valid');
    },
  );

  it('ends with what the RA refuses', async () => {
    const order = await processingOrder();
    ra.verdict = 'profile-changed';
    expect(await completion.complete(order)).toMatchObject({
      status: 'invalid',
      error: { code: 'PROFILE_CHANGED' },
    });
  });

  it('outlives a closed signing intent — covers: T4', async () => {
    const order = await processingOrder();
    ra.verdict = 'signing-closed';
    expect((await completion.complete(order)).status).toBe('processing');
    ra.verdict = 'issue';
    expect((await completion.complete(order)).status).toBe('valid');
  });

  it('tells a caller after a while that it goes on, and goes on', async () => {
    const order = await processingOrder();
    let go: () => void = () => undefined;
    ra.beforeAnswer = () =>
      new Promise((resolve) => {
        go = resolve;
      });
    const waiting = completion.completeWithin(order, 5_000);
    clock.advance(5_000);
    expect((await waiting).status).toBe('processing');
    const joined = completion.complete(order);
    go();
    expect((await joined).status).toBe('valid');
    expect(ra.submissions).toHaveLength(1);
  });
});
