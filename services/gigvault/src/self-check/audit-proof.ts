import { verifyCheckpoint } from '@gigvault/merkle/checkpoint';
import { verifyInclusion } from '@gigvault/merkle/proof';
import { leafHash } from '@gigvault/merkle/tree';
import type { InclusionProof } from '@gigvault/proto/audit/v1/audit';

/** True when the entry is in the tree of the checkpoint, and the checkpoint is signed by the key that it names. */
export function isIncluded(proof: InclusionProof): boolean {
  const { entry, checkpoint, path } = proof;
  if (!entry || !checkpoint) return false;
  const { origin } = originOf(checkpoint.note);
  const head = verifyCheckpoint(checkpoint.note, checkpoint.publicKey, origin);
  return verifyInclusion({
    leafIndex: entry.leafIndex,
    leafHash: leafHash(entry.leaf),
    path,
    size: head.size,
    root: head.root,
  });
}

function originOf(note: string): { origin: string } {
  return { origin: note.split('\n', 1)[0] ?? '' };
}
