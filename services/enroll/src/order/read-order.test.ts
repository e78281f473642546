import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { FakeClock } from '@gigvault/time/clock';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { memoryCertificateAuthority } from '../../test/memory-certificate-authority.ts';
import {
  type MemoryRegistrationAuthority,
  memoryRegistrationAuthority,
} from '../../test/memory-registration-authority.ts';
import { memoryOrders } from '../adapters/memory-orders.ts';
import type { Order } from '../ports/orders.ts';
import { type CreateOrderDeps, createOrder } from './create-order.ts';
import { expireOrders } from './expire-orders.ts';
import { type ReadOrderDeps, readOrder } from './read-order.ts';

const HOUR = 3_600_000;
const names = ['a.example', 'b.example'].map((value) => ({ type: 'dns', value }));

let clock: FakeClock;
let ra: MemoryRegistrationAuthority;
let deps: CreateOrderDeps & ReadOrderDeps & { orders: ReturnType<typeof memoryOrders> };

beforeEach(() => {
  clock = new FakeClock('2026-11-21T12:00:00Z');
  const ca = memoryCertificateAuthority(clock.now());
  ra = memoryRegistrationAuthority(ca, () => clock.now());
  deps = {
    orders: memoryOrders(),
    authorizations: ra,
    profiles: ca,
    clock,
    development: false,
    rules: {
      orderLifetime: HOUR,
      maxOrdersPerHour: 10,
      maxOpenOrders: 3,
      profiles: ['tls-server'],
    },
  };
});

function create(times: { notBefore?: number; notAfter?: number } = {}): Promise<Order> {
  return createOrder(deps, 'account', {
    identifiers: names,
    notBefore: 0,
    notAfter: 0,
    profile: '',
    ...times,
  });
}

async function validate(authorizationId: string): Promise<void> {
  const [authorization] = await ra.get([authorizationId]);
  await ra.respond({
    authorizationId,
    challengeId: authorization!.challenges[0]!.challengeId,
    requester: 'acme:account',
    keyAuthorization: '',
  });
}

const read = (order: Order) => readOrder(deps, 'account', order.orderId);
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error: unknown) => (error instanceof GigvaultError ? error.code : String(error)),
  );

describe('an order', () => {
  it('is ready when the last of its authorizations is valid, not before', async () => {
    const order = await create();
    await validate(order.authorizationIds[0]!);
    expect((await read(order)).status).toBe('pending');
    await validate(order.authorizationIds[1]!);
    expect((await read(order)).status).toBe('ready');
  });

  it('pins the hash of its profile, and a request id of its own — covers: T14', async () => {
    const [first, second] = [await create(), await create()];
    expect(first.profileHash).toMatch(/^[0-9a-f]{64}$/);
    expect(first.requestId).not.toBe(second.requestId);
  });

  it('is invalid when one authorization fails, and says which', async () => {
    const order = await create();
    ra.validationSucceeds = false;
    await validate(order.authorizationIds[1]!);
    expect(await read(order)).toMatchObject({
      status: 'invalid',
      error: {
        code: 'UNAUTHORIZED',
        message: 'The authorization for b.example is invalid. refused',
      },
    });
  });

  it('is invalid when an authorization is given up after it was ready', async () => {
    const order = await create();
    for (const id of order.authorizationIds) await validate(id);
    expect((await read(order)).status).toBe('ready');
    await ra.deactivate('acme:account', order.authorizationIds[0]!);
    expect(await read(order)).toMatchObject({
      status: 'invalid',
      error: { message: 'The authorization for a.example is deactivated.' },
    });
  });

  it('is never ready with an authorization that is lost, whatever else is done with it meanwhile', async () => {
    const order = await create();
    for (const id of order.authorizationIds) await validate(id);
    expect((await read(order)).status).toBe('ready');
    const refusal = {
      from: 'ready',
      to: 'ready',
      refused: Buffer.from('csr'),
      error: { code: 'BAD_PUBLIC_KEY', message: 'no' },
    } as const;
    await ra.deactivate('acme:account', order.authorizationIds[0]!);
    const { get } = ra;
    const racing = {
      ...deps,
      authorizations: {
        ...deps.authorizations,
        async get(ids: readonly string[]) {
          const found = await get.call(ra, ids);
          await deps.orders.step(order, refusal);
          return found;
        },
      },
    };
    expect((await readOrder(racing, 'account', order.orderId)).status).toBe('invalid');
  });

  it('is refused when too many were made within an hour, whatever became of them', async () => {
    deps = { ...deps, rules: { ...deps.rules, maxOrdersPerHour: 2 } };
    for (let i = 0; i < 2; i++) {
      const order = await create();
      const error = { code: 'UNAUTHORIZED', message: 'no' };
      await deps.orders.step(order, { from: 'pending', to: 'invalid', error });
      clock.advance(HOUR / 4);
    }
    await expect(create()).rejects.toMatchObject({ code: 'RATE_LIMITED', retryAfter: 1800 });
    clock.advance(HOUR / 2);
    await create();
    expect(await codeOf(create())).toBe('RATE_LIMITED');
  });

  it('expires, pending or ready', async () => {
    const pending = await create();
    const ready = await create();
    for (const id of ready.authorizationIds) await validate(id);
    await read(ready);
    clock.advance(HOUR - 1);
    expect((await read(ready)).status).toBe('ready');
    clock.advance(1);
    expect((await read(ready)).status).toBe('invalid');
    expect(await read(pending)).toMatchObject({
      status: 'invalid',
      error: { message: 'The order expired.' },
    });
  });

  it('expires when its times can no longer be had, or is refused when they never can', async () => {
    const profile = (await deps.profiles.find('tls-server'))!;
    const now = clock.now();
    const soon = now + 60_000;
    expect(await create({ notAfter: soon })).toMatchObject({ expiresAt: soon });
    const early = await create({ notBefore: soon - profile.backdate });
    expect(early).toMatchObject({ expiresAt: soon });
    await expect(create({ notBefore: now + profile.backdate + 1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      problems: [{ pointer: '/notBefore', message: expect.stringMatching(/in the future$/) }],
    });
    clock.advance(60_000);
    expect((await read(early)).status).toBe('invalid');
  });

  it('that nobody reads is ended by the reaper, and forgotten later', async () => {
    const order = await create();
    const reap = () => expireOrders({ ...deps, sweep: deps.orders, retention: HOUR });
    expect(await reap()).toBe(0);
    clock.advance(HOUR);
    expect(await reap()).toBe(1);
    expect((await deps.orders.find(order.orderId))?.status).toBe('invalid');
    clock.advance(HOUR);
    expect(await reap()).toBe(1);
    expect(await deps.orders.find(order.orderId)).toBeUndefined();
  });

  it('belongs to its account — covers: T38', async () => {
    const order = await create();
    expect(await codeOf(readOrder(deps, 'other', order.orderId))).toBe('UNAUTHORIZED');
    expect(await codeOf(readOrder(deps, 'other', 'none'))).toBe('NOT_FOUND');
  });

  it('is refused when too many are open, before the RA hears of it', async () => {
    for (let i = 0; i < 3; i++) await create();
    deps = { ...deps, authorizations: { ...ra, create: () => Promise.reject(new Error('asked')) } };
    expect(await codeOf(create())).toBe('RATE_LIMITED');
  });

  it('for localhost exists in the development profile only', async () => {
    const localhost = (development: boolean) =>
      createOrder({ ...deps, development }, 'account', {
        identifiers: [{ type: 'dns', value: 'a.localhost' }],
        notBefore: 0,
        notAfter: 0,
        profile: '',
      });
    expect(await codeOf(localhost(false))).toBe('REJECTED_IDENTIFIER');
    expect(await codeOf(localhost(true))).toBe('fine');
  });
});
