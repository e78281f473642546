import type { Principal } from '@gigvault/access/permissions';
import { refuseUse } from '../keys/refuse-use.ts';
import { type PersonDeps, requireOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { moveKey } from '../life/move-key.ts';

/**
 * One more person wants the key destroyed that waits for it: without as many as the configuration says, who asked not among them, it is never destroyed. Nothing
 * happens for who has approved before. Errors: those of requireOwnKey, SELF_APPROVAL for who asked, KEY_STATE_REFUSED when nothing waits, it has begun, or
 * nobody knows who asked; CONFLICT.
 */
export async function approveDestruction(
  deps: PersonDeps,
  keyId: string,
  principal: Principal,
): Promise<StoredKey> {
  const key = await requireOwnKey(deps, keyId, 'approve-destruction', principal);
  const { actor } = principal;
  const use = { purpose: 'approve-destruction', caller: actor };
  const refused = (why: string, code: 'KEY_STATE_REFUSED' | 'SELF_APPROVAL') =>
    refuseUse(deps, keyId, use, why, code);
  const { restoreState, destroyAt, state, destroyBy } = key;
  if (restoreState === null)
    throw await refused('no destruction waits for an approval', 'KEY_STATE_REFUSED');
  const [requester, ...approvers] = destroyBy;
  // Scheduled by a version that did not write it down.
  if (requester === undefined)
    throw await refused('restore it and ask again: nobody knows who asked', 'KEY_STATE_REFUSED');
  if (requester === actor)
    throw await refused('who asked for it does not approve it', 'SELF_APPROVAL');
  if (approvers.includes(actor)) return key;
  const data = {
    destroyAt,
    approvals: approvers.length + 1,
    approvalsNeeded: deps.destructionApprovals,
  };
  return moveKey(
    deps,
    key,
    { state, destroyAt, restoreState, destroyBy: [...destroyBy, actor] },
    { type: 'key.destruction-approved', actor, subject: keyId, data },
  );
}
