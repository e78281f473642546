import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import {
  LONGEST_PAUSE,
  type Order,
  type OrderStep,
  type OrderSweep,
  type Orders,
} from './orders.ts';

let made = 0;
const START = 1_700_000_000_000;

/** An order of the account, made after those before it. */
export function someOrder(accountId: string, more: Partial<Order> = {}): Order {
  made++;
  return {
    orderId: `order-${String(made).padStart(4, '0')}`,
    accountId,
    status: 'pending',
    identifiers: [{ type: 'dns', value: 'a.example' }],
    authorizationIds: ['authorization'],
    profile: 'tls-server',
    profileHash: 'hash',
    requestId: randomUUID(),
    notBefore: 0,
    notAfter: 0,
    createdAt: START + made,
    expiresAt: START + 1_000_000,
    ...more,
  };
}

const finalize: OrderStep = {
  from: 'ready',
  to: 'processing',
  certificationRequest: Buffer.from('csr'),
  resumeAt: START,
};
const issue: OrderStep = {
  from: 'processing',
  to: 'valid',
  serialNumber: '0a',
  issuerId: 'issuing',
  certificate: Buffer.from('certificate'),
  chain: [Buffer.from('issuer'), Buffer.from('root')],
};
const fail: OrderStep = {
  from: 'pending',
  to: 'invalid',
  error: { code: 'UNAUTHORIZED', message: 'no' },
};

/** What every Orders and OrderSweep must do. `account` makes an account and returns its id. Call it within a describe. */
export function ordersContract(
  subject: () => Orders & OrderSweep,
  account: () => Promise<string>,
): void {
  it('keeps an order and walks it to its certificate', async () => {
    const order = someOrder(await account());
    await subject().create(order);
    expect(await subject().find(order.orderId)).toMatchObject(order);
    await subject().step(order, finalize);
    const valid = await subject().step(order, issue);
    expect(valid).toMatchObject({
      ...order,
      status: 'valid',
      certificationRequest: Buffer.from('csr'),
      serialNumber: '0a',
    });
    expect((await subject().find(order.orderId))?.chain).toEqual([
      Buffer.from('issuer'),
      Buffer.from('root'),
    ]);
  });

  it('does a step once, however many try at once — covers: T1', async () => {
    const order = someOrder(await account(), { status: 'ready' });
    await subject().create(order);
    const results = await Promise.all(
      Array.from({ length: 16 }, () => subject().step(order, finalize)),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  it('refuses steps from another state', async () => {
    const order = someOrder(await account());
    await subject().create(order);
    expect(await subject().step(order, issue)).toBeUndefined();
    expect(await subject().step(someOrder('nobody'), fail)).toBeUndefined();
    expect(await subject().step(order, fail)).toMatchObject({
      status: 'invalid',
      error: { code: 'UNAUTHORIZED' },
    });
    expect(await subject().step(order, finalize)).toBeUndefined();
  });

  it("lists an account's orders newest first, in pages, without invalid ones", async () => {
    const accountId = await account();
    const orders = Array.from({ length: 5 }, () => someOrder(accountId));
    for (const order of orders) await subject().create(order);
    await subject().create(someOrder(await account()));
    await subject().step(orders[1]!, fail);
    const newest = [4, 3, 2, 0].map((i) => orders[i]!.orderId);
    const first = (await subject().list(accountId, undefined, 3)).map((order) => order.orderId);
    expect(first).toEqual(newest.slice(0, 3));
    expect((await subject().list(accountId, first[2], 3)).map((order) => order.orderId)).toEqual(
      newest.slice(3),
    );
    const load = (most: number, n: number) => subject().load(accountId, most, n);
    expect(await load(10, 1)).toEqual({ open: 4, nthNewest: orders[4]!.createdAt });
    expect(await load(2, 5)).toEqual({ open: 2, nthNewest: orders[0]!.createdAt });
    expect(await load(10, 6)).toEqual({ open: 4, nthNewest: undefined });
    expect(await subject().load('nobody', 10, 1)).toEqual({ open: 0, nthNewest: undefined });
  });

  it('leaves an order as it is when a finalize is refused', async () => {
    const order = someOrder(await account(), { status: 'ready' });
    await subject().create(order);
    const refuse: OrderStep = {
      from: 'ready',
      to: 'ready',
      refused: Buffer.from('csr'),
      error: { code: 'BAD_PUBLIC_KEY', message: 'no' },
    };
    expect(await subject().step(order, refuse)).toEqual(await subject().find(order.orderId));
    expect(await subject().find(order.orderId)).toMatchObject(order);
    expect((await subject().find(order.orderId))?.certificationRequest).toBeUndefined();
    await subject().step(order, finalize);
    expect(await subject().step(order, refuse)).toBeUndefined();
  });

  it('leases orders in processing whose time has come — covers: T5', async () => {
    const order = someOrder(await account(), { status: 'ready' });
    await subject().create(order);
    await subject().step(order, finalize);
    const claimed = async (now: number) =>
      (await subject().claimProcessing(now, now + 100, 100))
        .map(({ orderId }) => orderId)
        .includes(order.orderId);
    expect(await claimed(START - 1)).toBe(false);
    expect(await claimed(START)).toBe(true);
    expect(await claimed(START + 99)).toBe(false);
    await subject().step(order, {
      from: 'processing',
      to: 'processing',
      resumeAt: START + 10,
    });
    expect(await claimed(START + 10)).toBe(true);
    const ahead = START + 20 + LONGEST_PAUSE;
    await subject().step(order, { from: 'processing', to: 'processing', resumeAt: ahead });
    expect(await claimed(START + 20)).toBe(false);
    // A clock that was ahead wrote it.
    expect(await claimed(START + 19)).toBe(true);
    await subject().step(order, issue);
    expect(await claimed(START + 1_000_000)).toBe(false);
  });

  it('finds expired orders and purges finished ones', async () => {
    const accountId = await account();
    const expired = someOrder(accountId, { expiresAt: 10 });
    const finished = someOrder(accountId, { expiresAt: 10 });
    await subject().create(expired);
    await subject().create(finished);
    await subject().step(finished, fail);
    expect((await subject().findExpired(10, 100)).map(({ orderId }) => orderId)).toEqual([
      expired.orderId,
    ]);
    expect(await subject().purge(9, 100)).toBe(0);
    expect(await subject().purge(10, 100)).toBe(1);
    expect(await subject().find(finished.orderId)).toBeUndefined();
    expect(await subject().find(expired.orderId)).toBeDefined();
  });
}
