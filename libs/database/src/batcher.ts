import { AsyncResource } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { countWaiting } from '@gigvault/telemetry/queue-depth';

/** What became of one item of a batch. */
export type BatchResult<O> =
  | { readonly ok: true; readonly value: O }
  | { readonly ok: false; readonly error: unknown };

/** How a batcher works. */
export interface BatcherOptions<I, O> {
  /** As `ca.intent`: in the message of a full queue, and the label of `gigvault_queue_depth`. */
  readonly name: string;
  readonly maxItems: number;
  /** Items that may wait; more are refused. */
  readonly maxQueue: number;
  /** False for an item that ends what was begun before: it is never refused, and takes nobody's place. Default: all are bounded. */
  isBounded?(item: I): boolean;
  /**
   * Does the work for all items at once, all or nothing (one transaction), and returns one result each, in the same order.
   * After a throw it is called again with halves of the items.
   */
  run(items: readonly I[]): Promise<readonly BatchResult<O>[]>;
}

/** Collects items while a batch runs. */
export interface Batcher<I, O> {
  /**
   * Resolves with the item's own result. Errors: the item's; UNAVAILABLE with retryAfter when the queue is full; the signal's reason when it
   * aborts first, and then the item is not run unless its batch has begun.
   */
  submit(item: I, signal?: AbortSignal): Promise<O>;
  /** How many items wait. */
  depth(): number;
}

const EVERYBODYS: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED']);

interface Waiting<I, O> {
  readonly item: I;
  readonly bounded: boolean;
  /** The asynchronous context of who submitted the item. */
  readonly context: AsyncResource;
  resolve(value: O): void;
  reject(error: unknown): void;
}

/**
 * Natural batching: what arrives while one run is in flight shares the next. One alone waits for nobody, only for the end of the turn of
 * the event loop; under load batches grow by themselves; there is no window. Items run in the order of their arrival, one batch at a time. A batch that throws is halved until the
 * bad item stands alone, so that it does not fail its neighbours; UNAVAILABLE and DEADLINE_EXCEEDED are everybody's failure and are not
 * retried here.
 */
export function createBatcher<I, O>(options: BatcherOptions<I, O>): Batcher<I, O> {
  let queue: Waiting<I, O>[] = [];
  /** How many of the queue are bounded. */
  let bounded = 0;
  let running = false;

  function left(gone: readonly Waiting<I, O>[]): void {
    countWaiting(options.name, -gone.length);
    for (const waiting of gone) bounded -= Number(waiting.bounded);
  }

  async function drain(): Promise<void> {
    running = true;
    while (queue.length > 0) {
      // What is submitted in the same turn of the event loop goes along: sockets and the thread pool answer one by one, but many in a turn.
      await nextTurn();
      const batch = queue.slice(0, options.maxItems);
      queue = queue.slice(options.maxItems);
      left(batch);
      // Whoever waited may have hung up in that turn.
      if (batch.length > 0) await settle(options, batch);
    }
    running = false;
  }

  function submit(item: I, signal?: AbortSignal): Promise<O> {
    const isBounded = options.isBounded?.(item) ?? true;
    if (isBounded && bounded >= options.maxQueue) {
      const message = `Too many requests are waiting (${options.name}).`;
      return Promise.reject(new GigvaultError('UNAVAILABLE', message, { retryAfter: 1 }));
    }
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = () => {
        const gone = queue.filter((other) => other === waiting);
        queue = queue.filter((other) => other !== waiting);
        left(gone);
        reject(signal?.reason);
      };
      const done = () => signal?.removeEventListener('abort', onAbort);
      const waiting: Waiting<I, O> = {
        item,
        bounded: isBounded,
        context: new AsyncResource('batch'),
        resolve: (value) => {
          done();
          resolve(value);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      queue.push(waiting);
      countWaiting(options.name, 1);
      bounded += Number(isBounded);
      if (!running) void drain();
    });
  }

  return { submit, depth: () => queue.length };
}

async function settle<I, O>(
  options: BatcherOptions<I, O>,
  batch: readonly Waiting<I, O>[],
): Promise<void> {
  let results: readonly BatchResult<O>[];
  try {
    // Spans, log lines and calls of the run belong to its first item, not to whoever woke the batcher long ago.
    results = await batch[0]!.context.runInAsyncScope(() =>
      options.run(batch.map(({ item }) => item)),
    );
  } catch (error) {
    await settleHalves(options, batch, error);
    return;
  }
  for (const [i, waiting] of batch.entries()) {
    const result = results[i];
    if (result?.ok) waiting.resolve(result.value);
    // The run has happened: a result that is missing must not make it happen again.
    else
      waiting.reject(result ? result.error : new Error(`${options.name}: no result for item ${i}`));
  }
}

async function settleHalves<I, O>(
  options: BatcherOptions<I, O>,
  batch: readonly Waiting<I, O>[],
  error: unknown,
): Promise<void> {
  const everybody = error instanceof GigvaultError && EVERYBODYS.has(error.code);
  if (batch.length === 1 || everybody) {
    for (const waiting of batch) waiting.reject(error);
    return;
  }
  const middle = batch.length >> 1;
  await settle(options, batch.slice(0, middle));
  await settle(options, batch.slice(middle));
}
