import { encodeLeaf } from '@gigvault/merkle/leaf';
import { completeSubtrees, extendTree, leafHash } from '@gigvault/merkle/tree';
import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { TreeWriter } from '../ports/tree.ts';

/**
 * Appends events to the tree, in the transaction of `tree`: O(number of events + log size). Returns the tree's new size.
 * The caller moves its cursor in the same transaction, so that no event is appended twice.
 */
export async function appendEvents(tree: TreeWriter, events: readonly Event[]): Promise<number> {
  await tree.lock();
  const size = await tree.size();
  const hashes = await tree.hashes(completeSubtrees({ start: 0, end: size }));
  const leaves = events.map((event, i) => {
    const leaf = encodeLeaf(event);
    const { producer, position } = event;
    return { leafIndex: size + i, producer, position, leaf, leafHash: leafHash(leaf) };
  });
  const { completed, frontier } = extendTree(
    { size, hashes },
    leaves.map((leaf) => leaf.leafHash),
  );
  await tree.append(leaves, completed);
  return frontier.size;
}
