import { checkpointNote, checkpointText, verifyCheckpoint } from '@gigvault/merkle/checkpoint';
import { verifyConsistency } from '@gigvault/merkle/proof';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { CheckpointSigner, CheckpointStore, SignedCheckpoint } from '../ports/checkpoints.ts';
import type { TreeReader } from '../ports/tree.ts';
import { damaged } from '../proof/damage.ts';
import { consistencyHashes, rootHash } from '../proof/tree-hashes.ts';

/** What signing a tree head needs. */
export interface CheckpointDeps {
  readonly tree: TreeReader;
  readonly checkpoints: CheckpointStore;
  readonly signer: CheckpointSigner;
  readonly clock: Clock;
  /** As `gigvault.local/audit`. */
  readonly origin: string;
}

/**
 * Signs the head of the tree as it is now, unless that is signed already; returns the newest checkpoint either way. The tree must extend the
 * last one that was signed. Errors: AUDIT_NOT_VERIFIED when it does not, or has become smaller: somebody changed the log, and nothing is signed.
 */
export async function signCheckpoint(deps: CheckpointDeps): Promise<SignedCheckpoint> {
  const last = await deps.checkpoints.newest();
  const treeSize = await deps.tree.size();
  if (last?.treeSize === treeSize) return last;
  const root = await rootHash(deps.tree, treeSize);
  if (last) await checkExtends(deps.tree, last, { treeSize, rootHash: root });
  const checkpoint = await sign(deps, treeSize, root);
  await durableStep('audit.checkpoint', () => deps.checkpoints.add(checkpoint));
  return checkpoint;
}

async function checkExtends(
  tree: TreeReader,
  old: Pick<SignedCheckpoint, 'treeSize' | 'rootHash'>,
  young: Pick<SignedCheckpoint, 'treeSize' | 'rootHash'>,
): Promise<void> {
  if (young.treeSize < old.treeSize) {
    throw damaged(`its tree has ${young.treeSize} leaves, but ${old.treeSize} were signed`);
  }
  const isConsistent = verifyConsistency({
    first: old.treeSize,
    second: young.treeSize,
    firstRoot: old.rootHash,
    secondRoot: young.rootHash,
    path: await consistencyHashes(tree, old.treeSize, young.treeSize),
  });
  if (!isConsistent)
    throw damaged(
      `its tree of ${young.treeSize} leaves does not extend the signed one of ${old.treeSize}`,
    );
}

async function sign(
  deps: CheckpointDeps,
  treeSize: number,
  root: Buffer,
): Promise<SignedCheckpoint> {
  const head = { origin: deps.origin, size: treeSize, root };
  const publicKey = await deps.signer.publicKey();
  const signature = await deps.signer.sign(Buffer.from(checkpointText(head)));
  const note = checkpointNote(head, publicKey, signature);
  // A wrong signature must not leave: nobody could tell it from a forgery.
  verifyCheckpoint(note, publicKey, deps.origin);
  return { treeSize, rootHash: root, timestamp: deps.clock.now(), note, publicKey };
}
