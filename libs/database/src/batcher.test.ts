import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { waitingByQueue } from '@gigvault/telemetry/queue-depth';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type BatchResult, createBatcher } from './batcher.ts';

function succeed<T>(items: readonly T[]): BatchResult<T>[] {
  return items.map((value) => ({ ok: true, value }));
}

describe('createBatcher', () => {
  it('runs one alone at once, and what arrives meanwhile together, in order', async () => {
    const batches: number[][] = [];
    const gates: (() => void)[] = [];
    const batcher = createBatcher<number, number>({
      name: 'test',
      maxItems: 100,
      maxQueue: 100,
      async run(items) {
        batches.push([...items]);
        await new Promise<void>((resolve) => gates.push(resolve));
        return succeed(items);
      },
    });
    const first = batcher.submit(1);
    await nextTurn();
    const rest = [2, 3, 4].map((item) => batcher.submit(item));
    expect(batcher.depth()).toBe(3);
    gates.shift()!();
    expect(await first).toBe(1);
    await nextTurn();
    await nextTurn();
    gates.shift()!();
    expect(await Promise.all(rest)).toEqual([2, 3, 4]);
    expect(batches).toEqual([[1], [2, 3, 4]]);
  });

  it('takes along what is submitted in the same turn of the event loop, and copes with who hangs up in it', async () => {
    const batches: number[][] = [];
    const batcher = createBatcher<number, number>({
      name: 'test',
      maxItems: 100,
      maxQueue: 100,
      async run(items) {
        batches.push([...items]);
        return succeed(items);
      },
    });
    const first = batcher.submit(1);
    for (let i = 0; i < 10; i += 1) await Promise.resolve();
    expect(await Promise.all([first, batcher.submit(2)])).toEqual([1, 2]);
    const gone = new AbortController();
    const third = batcher.submit(3, gone.signal);
    gone.abort(new Error('gone'));
    await expect(third).rejects.toThrow('gone');
    await nextTurn();
    expect(await batcher.submit(4)).toBe(4);
    expect(batches).toEqual([[1, 2], [4]]);
  });

  it('refuses what is bounded once that much waits, and never what is not', async () => {
    const batcher = createBatcher<number, number>({
      name: 'test',
      maxItems: 1,
      maxQueue: 2,
      isBounded: (item) => item < 10,
      run: async (items) => succeed(items),
    });
    const free = [10, 11, 12].map((item) => batcher.submit(item));
    const gone = new AbortController();
    const bounded = [batcher.submit(1), batcher.submit(2, gone.signal)];
    await expect(batcher.submit(3)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    gone.abort(new Error('gone'));
    await expect(bounded[1]).rejects.toThrow('gone');
    bounded[1] = batcher.submit(4);
    await expect(batcher.submit(5)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    free.push(batcher.submit(13));
    expect(await Promise.all([...free, ...bounded])).toEqual([10, 11, 12, 13, 1, 4]);
    expect(await batcher.submit(6)).toBe(6);
  });

  it('keeps batches within maxItems, never two in flight, and starts again after idling', async () => {
    let inFlight = 0;
    const sizes: number[] = [];
    const batcher = createBatcher<number, number>({
      name: 'test',
      maxItems: 4,
      maxQueue: 100,
      async run(items) {
        inFlight += 1;
        sizes.push(items.length);
        expect(inFlight).toBe(1);
        await new Promise((resolve) => setImmediate(resolve));
        inFlight -= 1;
        return succeed(items);
      },
    });
    const items = Array.from({ length: 10 }, (_, i) => i);
    expect(await Promise.all(items.map((item) => batcher.submit(item)))).toEqual(items);
    expect(sizes).toEqual([4, 4, 2]);
    expect(await batcher.submit(11)).toBe(11);
  });

  it('runs a batch in the context of its first item, not of whoever woke the batcher', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const batcher = createBatcher<number, number>({
      name: 'test',
      maxItems: 1,
      maxQueue: 10,
      async run(items) {
        seen.push(storage.getStore());
        return succeed(items);
      },
    });
    await Promise.all(['a', 'b'].map((name) => storage.run(name, () => batcher.submit(1))));
    expect(seen).toEqual(['a', 'b']);
  });

  it('refuses with UNAVAILABLE and retryAfter when the queue is full', async () => {
    const gate = Promise.withResolvers<void>();
    const batcher = createBatcher<number, number>({
      name: 'ca.intent',
      maxItems: 1,
      maxQueue: 2,
      run: async (items) => gate.promise.then(() => succeed(items)),
    });
    const first = batcher.submit(0);
    await new Promise((resolve) => setImmediate(resolve));
    const waiting = [batcher.submit(1), batcher.submit(2)];
    await expect(batcher.submit(3)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 });
    gate.resolve();
    expect(await Promise.all([first, ...waiting])).toEqual([0, 1, 2]);
  });

  it('forgets an item whose signal aborts while it waits', async () => {
    const gate = Promise.withResolvers<void>();
    const ran: number[] = [];
    const batcher = createBatcher<number, number>({
      name: 'test.abort',
      maxItems: 1,
      maxQueue: 9,
      run: async (items) => {
        ran.push(...items);
        await gate.promise;
        return succeed(items);
      },
    });
    const first = batcher.submit(1);
    await new Promise((resolve) => setImmediate(resolve));
    const deadline = new AbortController();
    const second = batcher.submit(2, deadline.signal);
    expect(waitingByQueue().get('test.abort')).toBe(1);
    deadline.abort(new GigvaultError('DEADLINE_EXCEEDED', 'too late'));
    await expect(second).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    gate.resolve();
    await first;
    expect(batcher.depth()).toBe(0);
    expect(waitingByQueue().get('test.abort')).toBe(0);
    expect(ran).toEqual([1]);
    await expect(batcher.submit(3, AbortSignal.abort(new Error('before')))).rejects.toThrow(
      'before',
    );
  });

  it('halves a batch that throws until the bad items stand alone; every good one succeeds once, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }), async (good) => {
        const done: number[] = [];
        const batcher = createBatcher<number, number>({
          name: 'test',
          maxItems: 16,
          maxQueue: 100,
          async run(items) {
            if (items.some((i) => !good[i])) throw new Error('bad row');
            done.push(...items);
            return succeed(items);
          },
        });
        const results = await Promise.allSettled(good.map((_, i) => batcher.submit(i)));
        expect(results.map(({ status }) => status === 'fulfilled')).toEqual(good);
        expect(done).toEqual(good.flatMap((isGood, i) => (isGood ? [i] : [])));
      }),
    );
  });

  it('passes single results on, and fails everybody without a retry when the database is gone', async () => {
    let runs = 0;
    const batcher = createBatcher<string, string>({
      name: 'test',
      maxItems: 8,
      maxQueue: 8,
      async run(items) {
        runs += 1;
        if (items.includes('gone'))
          throw new GigvaultError('UNAVAILABLE', 'The database cannot be reached.');
        return items.map((item) =>
          item === 'bad' ? { ok: false, error: new Error('bad') } : { ok: true, value: item },
        );
      },
    });
    const mixed = await Promise.allSettled([batcher.submit('a'), batcher.submit('bad')]);
    expect(mixed.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(runs).toBe(1);
    const gone = await Promise.allSettled([batcher.submit('b'), batcher.submit('gone')]);
    expect(gone.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(runs).toBe(2);
  });
});
