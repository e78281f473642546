import { createBatcher } from './batcher.ts';

/** The most of one statement, and the most that wait. */
const SHARED_STATEMENT = { maxItems: 256, maxQueue: 10_000 } as const;

/**
 * A way to ask one thing of a statement that is made for many: what is asked while one is under way goes together in the next, see createBatcher.
 * What is answered was so after the question came.
 * @param name as `enroll.order-step`: the label of the queue
 * @param run one answer each, in the same order; all of them in one transaction
 */
export function shareStatement<I, O>(
  name: string,
  run: (items: readonly I[]) => Promise<readonly O[]>,
): (item: I) => Promise<O> {
  const batcher = createBatcher<I, O>({
    name,
    ...SHARED_STATEMENT,
    run: async (items) => (await run(items)).map((value) => ({ ok: true, value })),
  });
  return (item) => batcher.submit(item);
}

/** Look-ups by key that share statements. @param find what there is of these keys; keys may repeat */
export function createLookup<K, V>(
  name: string,
  find: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>,
): (key: K) => Promise<V | undefined> {
  return shareStatement(name, async (keys: readonly K[]) => {
    const found = await find(keys);
    return keys.map((key) => found.get(key));
  });
}
