import type { Principal } from '@gigvault/access/permissions';
import { STATE_RULES } from '../keys/key-state.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { type PersonDeps, requireOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { moveKey } from '../life/move-key.ts';

/**
 * Takes a key out of use at once and destroys it, with all its versions, when the wait is over and as many others as the configuration says have approved it. Nothing happens when it waits already, or is destroyed.
 * Errors: those of requireOwnKey, CONFLICT, UNAVAILABLE while the clock is not right.
 */
export async function scheduleDestruction(
  deps: PersonDeps,
  keyId: string,
  principal: Principal,
): Promise<StoredKey> {
  const key = await requireOwnKey(deps, keyId, 'destroy', principal);
  const { actor } = principal;
  const { waiting } = STATE_RULES[key.state];
  if (waiting === undefined || key.destroyAt !== null) return key;
  const destroyAt = deps.clockGuard.now() + deps.destructionWait;
  const next = { state: waiting, destroyAt, restoreState: key.state, destroyBy: [actor] };
  const data = { from: key.state, destroyAt };
  const event = { type: 'key.destruction-scheduled', actor, subject: keyId, data } as const;
  return moveKey(deps, key, next, event);
}

/**
 * Undoes it, until the destruction has begun: the key is again in the state that it had.
 * Errors: those of requireOwnKey, KEY_STATE_REFUSED when nothing is scheduled or it has begun, CONFLICT.
 */
export async function undoDestruction(
  deps: PersonDeps,
  keyId: string,
  principal: Principal,
): Promise<StoredKey> {
  const key = await requireOwnKey(deps, keyId, 'restore', principal);
  const { actor } = principal;
  if (key.restoreState === null) {
    const begun = key.destroyAt !== null || key.state === 'destroyed';
    const why = begun ? 'its destruction has begun' : 'it does not wait for its destruction';
    const use = { purpose: 'restore', caller: actor };
    throw await refuseUse(deps, keyId, use, why, 'KEY_STATE_REFUSED');
  }
  const next = { state: key.restoreState, destroyAt: null, restoreState: null, destroyBy: [] };
  const data = { to: key.restoreState };
  const event = { type: 'key.destruction-undone', actor, subject: keyId, data } as const;
  return moveKey(deps, key, next, event);
}
