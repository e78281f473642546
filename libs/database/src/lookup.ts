import { createBatcher } from './batcher.ts';

/** The most keys of one statement, and the most that wait. */
export const SHARED_STATEMENT = { maxItems: 256, maxQueue: 10_000 } as const;

/**
 * Look-ups by key that share statements: those that come while one is under way go together in the next, see createBatcher. What is found was
 * there after the question came.
 * @param name as `enroll.account`: the label of the queue
 * @param find what there is of these keys; keys may repeat
 */
export function createLookup<K, V>(
  name: string,
  find: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>,
): (key: K) => Promise<V | undefined> {
  const batcher = createBatcher<K, V | undefined>({
    name,
    ...SHARED_STATEMENT,
    async run(keys) {
      const found = await find(keys);
      return keys.map((key) => ({ ok: true, value: found.get(key) }));
    },
  });
  return (key) => batcher.submit(key);
}
