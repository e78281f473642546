import { encodeLeaf } from '@gigvault/merkle/leaf';
import { completeSubtrees, extendTree, leafHash } from '@gigvault/merkle/tree';
import type { Event } from '@gigvault/proto/event/v1/event_log';
import type { TreeWriter } from '../ports/tree.ts';
import { damaged } from '../proof/damage.ts';

/**
 * Appends events of one producer, one at least, to the tree, in the transaction of `tree`: O(number of events + log size). Returns the tree's new size.
 * The caller moves its cursor in the same transaction, so that no event is appended twice. Errors: AUDIT_NOT_VERIFIED when the end of
 * the log is not what it was: nothing is appended over damage, and the events wait with their producer.
 */
export async function appendEvents(tree: TreeWriter, events: readonly Event[]): Promise<number> {
  await tree.lock();
  const size = await checkedSize(tree, events[0]!);
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

/** What was signed is there, and so is the event before the first one: entries that were cut off are noticed before others take their place. */
async function checkedSize(tree: TreeWriter, { producer, position }: Event): Promise<number> {
  const before = position - 1;
  const { size, signedSize, holds } = await tree.end(producer, before);
  if (size < signedSize) throw damaged(`it ends at ${size} entries, but ${signedSize} were signed`);
  if (before > 0 && !holds)
    throw damaged(`event ${before} of ${producer} was appended and is missing`);
  return size;
}
