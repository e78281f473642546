import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { decodeLeaf } from '@gigvault/merkle/leaf';
import type { AuditEntry, InclusionProof } from '@gigvault/proto/audit/v1/audit';
import type { CheckpointStore, SignedCheckpoint } from '../ports/checkpoints.ts';
import type { LeafReader, StoredLeaf, TreeReader } from '../ports/tree.ts';
import { consistencyHashes, inclusionHashes } from './tree-hashes.ts';

/** What readers of the log need. */
export interface ReadDeps {
  readonly tree: TreeReader;
  readonly leaves: LeafReader;
  readonly checkpoints: CheckpointStore;
}

/** Which leaf: by its index, or by its event. */
export type LeafPlace =
  | { readonly leafIndex: number }
  | { readonly producer: string; readonly position: number };

/** An entry and the hash that is stored beside it. */
export interface LogEntry extends AuditEntry {
  readonly leafHash: Buffer;
}

const MAX_ENTRIES = 1000;

/** The newest signed tree head. Errors: UNAVAILABLE before the first one is signed. */
export async function getCheckpoint(
  deps: Pick<ReadDeps, 'checkpoints'>,
): Promise<SignedCheckpoint> {
  const newest = await deps.checkpoints.newest();
  if (newest) return newest;
  throw new GigvaultError('UNAVAILABLE', 'No checkpoint of the audit log has been signed yet.');
}

/** Leaves from `start` on; fewer than `limit` (1 to 1000) only at the end. The event is undefined where a leaf was damaged. */
export async function listEntries(
  deps: Pick<ReadDeps, 'leaves'>,
  start: number,
  limit: number,
): Promise<LogEntry[]> {
  requireWhole('start', start);
  const leaves = await deps.leaves.leaves(start, Math.min(Math.max(limit, 1), MAX_ENTRIES));
  return leaves.map(toEntry);
}

/**
 * Proof that a leaf is in the tree of the newest checkpoint. Errors: AUDIT_ENTRY_NOT_FOUND when there is no such leaf, or, with
 * `retryAfter`, when no checkpoint covers it yet.
 */
export async function getInclusionProof(deps: ReadDeps, place: LeafPlace): Promise<InclusionProof> {
  const checkpoint = await getCheckpoint(deps);
  const leafIndex = await resolvePlace(deps, place);
  const [leaf] = await deps.leaves.leaves(leafIndex, 1);
  if (leaf?.leafIndex !== leafIndex) throw notFound(place);
  if (leafIndex >= checkpoint.treeSize) throw notFound(place, 1);
  const path = await inclusionHashes(deps.tree, leafIndex, checkpoint.treeSize);
  return { entry: toEntry(leaf), path, checkpoint };
}

/** Proof that the tree of `second` leaves extends that of `first`. Errors: INVALID_ARGUMENT, AUDIT_ENTRY_NOT_FOUND beyond the tree. */
export async function getConsistencyProof(
  deps: Pick<ReadDeps, 'tree'>,
  first: number,
  second: number,
): Promise<Buffer[]> {
  requireWhole('first', first);
  requireWhole('second', second);
  if (first > second)
    throw new GigvaultError('INVALID_ARGUMENT', 'The first tree size is above the second.');
  const size = await deps.tree.size();
  if (second > size) {
    throw new GigvaultError(
      'AUDIT_ENTRY_NOT_FOUND',
      `The audit log has ${size} entries, not ${second}.`,
    );
  }
  return consistencyHashes(deps.tree, first, second);
}

async function resolvePlace(deps: ReadDeps, place: LeafPlace): Promise<number> {
  if ('leafIndex' in place) {
    requireWhole('leafIndex', place.leafIndex);
    return place.leafIndex;
  }
  requireWhole('position', place.position);
  const leafIndex = await deps.leaves.indexOf(place.producer, place.position);
  if (leafIndex === undefined) throw notFound(place);
  return leafIndex;
}

function toEntry({ leafIndex, leaf, leafHash }: StoredLeaf): LogEntry {
  return { leafIndex, leaf, leafHash, event: eventOf(leaf) };
}

/** The event in a leaf; undefined where the leaf is damaged. It must still be shown: it is what a verifier looks for. */
export function eventOf(leaf: Buffer): AuditEntry['event'] {
  try {
    return decodeLeaf(leaf);
  } catch (error) {
    if (error instanceof GigvaultError) return undefined;
    throw error;
  }
}

function requireWhole(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new GigvaultError('INVALID_ARGUMENT', `${name} must be a whole number from 0.`);
}

function notFound(place: LeafPlace, retryAfter?: number): GigvaultError {
  const what =
    'leafIndex' in place
      ? `entry ${place.leafIndex}`
      : `event ${place.position} of ${place.producer}`;
  const message = retryAfter
    ? `No checkpoint covers ${what} of the audit log yet.`
    : `The audit log has no ${what}.`;
  return new GigvaultError('AUDIT_ENTRY_NOT_FOUND', message, { retryAfter });
}
