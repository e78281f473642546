import type { Principal } from '@gigvault/access/permissions';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { type KeyGrant, normalGrants, requireUsable } from '../keys/key-grant.ts';
import { type PersonDeps, requireOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import { changedMeanwhile } from './move-key.ts';

/** The list of a key's grants, as it should be. */
export interface GrantsRequest {
  readonly grants: readonly KeyGrant[];
  /** The version of the list that this replaces; undefined: whichever is there. */
  readonly version?: number | undefined;
}

/**
 * Replaces the list of those who may do something with the key besides its owner. Who is no longer in it has no signature from then on: a use that was
 * begun before is begun anew. Errors: those of requireOwnKey, INVALID_ARGUMENT, CONFLICT when somebody changed the key meanwhile, or the list has another version.
 */
export async function changeGrants(
  deps: PersonDeps,
  keyId: string,
  request: GrantsRequest,
  principal: Principal,
): Promise<StoredKey> {
  const grants = normalGrants(request.grants);
  const key = await requireOwnKey(deps, keyId, 'grant', principal);
  requireUsable(key, grants);
  if (request.version !== undefined && request.version !== key.grantsVersion)
    throw changedMeanwhile(keyId);
  const { actor } = principal;
  const grantsVersion = key.grantsVersion + 1;
  const data = { version: grantsVersion, grants };
  const event: KeyEvent = { type: 'key.grants-changed', actor, subject: keyId, data };
  const changed = await durableStep('keymgr.state', () => deps.keys.grant(key, grants, event));
  if (!changed) throw changedMeanwhile(keyId);
  return { ...key, grants, grantsVersion };
}
