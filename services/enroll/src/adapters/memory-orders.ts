import {
  LONGEST_PAUSE,
  type Order,
  type OrderStep,
  type OrderSweep,
  type Orders,
} from '../ports/orders.ts';

type Kept = Order & { readonly resumeAt: number };

/** Orders in memory, for tests of flows. */
export function memoryOrders(): Orders & OrderSweep {
  const byId = new Map<string, Kept>();
  const all = (): Kept[] => [...byId.values()];
  const open = (order: Order): boolean => order.status === 'pending' || order.status === 'ready';
  const newestFirst = (a: Order, b: Order): number =>
    b.createdAt - a.createdAt || (a.orderId < b.orderId ? 1 : -1);

  return {
    async create(order) {
      byId.set(order.orderId, { ...order, resumeAt: 0 });
    },
    find: async (orderId) => byId.get(orderId),
    async list(accountId, cursor, limit) {
      const orders = all().filter(
        (order) => order.accountId === accountId && order.status !== 'invalid',
      );
      const sorted = orders.sort(newestFirst);
      const start =
        cursor === undefined ? 0 : sorted.findIndex((order) => order.orderId === cursor) + 1;
      return sorted.slice(start, start + limit);
    },
    async load(accountId, most, n) {
      const orders = all().filter((order) => order.accountId === accountId);
      return {
        open: Math.min(most, orders.filter(open).length),
        nthNewest: orders.sort(newestFirst)[n - 1]?.createdAt,
      };
    },
    async step({ orderId }, step) {
      const order = byId.get(orderId);
      if (!order || !isIn(order, step.from)) return undefined;
      const stepped = { ...order, ...changeOf(step) };
      byId.set(orderId, stepped);
      return stepped;
    },
    async claimProcessing(now, leaseUntil, limit) {
      const due = all().filter(
        ({ status, resumeAt }) =>
          status === 'processing' && (resumeAt <= now || resumeAt > now + LONGEST_PAUSE),
      );
      const claimed = due.slice(0, limit).map((order) => ({ ...order, resumeAt: leaseUntil }));
      for (const order of claimed) byId.set(order.orderId, order);
      return claimed;
    },
    findExpired: async (now, limit) =>
      all()
        .filter((order) => open(order) && order.expiresAt <= now)
        .slice(0, limit),
    async purge(before, limit) {
      const old = all().filter(
        (order) => ['valid', 'invalid'].includes(order.status) && order.expiresAt <= before,
      );
      for (const order of old.slice(0, limit)) byId.delete(order.orderId);
      return Math.min(old.length, limit);
    },
  };
}

function isIn({ status }: Order, from: OrderStep['from']): boolean {
  return status === from || (from === 'ready' && status === 'pending');
}

function changeOf(step: OrderStep): Partial<Kept> {
  if (step.to === 'ready') return {};
  const { from: _from, to, ...change } = step;
  return { status: to, ...change };
}
