import type { Principal } from '@gigvault/access/permissions';
import { STATE_RULES } from '../keys/key-state.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { type PersonDeps, requireOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import type { KeyCourse } from '../ports/key-table.ts';
import { moveKey } from './move-key.ts';

/** The states into which people bring a key; `destroyed` is scheduled. */
export const SETTABLE_STATES = ['active', 'suspended', 'deactivated', 'compromised'] as const;

/** One of SETTABLE_STATES. */
export type SettableState = (typeof SETTABLE_STATES)[number];

const EVENT = {
  active: 'key.activated',
  suspended: 'key.suspended',
  deactivated: 'key.deactivated',
  compromised: 'key.compromised',
} as const satisfies Record<SettableState, KeyEvent['type']>;

/**
 * Brings a key into a state that may follow its own; nothing happens when it is there. A key that waits for its destruction may still become
 * `compromised`, and an undo then gives back that. Errors: those of requireOwnKey, KEY_STATE_REFUSED, CONFLICT.
 *
 * @param request `reason`: why, for the audit log
 */
export async function changeState(
  deps: PersonDeps,
  keyId: string,
  request: { readonly state: SettableState; readonly reason: string },
  principal: Principal,
): Promise<StoredKey> {
  const key = await requireOwnKey(deps, keyId, 'change-state', principal);
  const { state, reason } = request;
  if (key.state === state) return key;
  const { actor } = principal;
  if (!mayBecome(key, state)) {
    const waits = key.destroyAt === null ? '' : ' and waits for its destruction';
    const why = `a key that is ${key.state}${waits} does not become ${state}`;
    const use = { purpose: 'change-state', caller: actor };
    throw await refuseUse(deps, keyId, use, why, 'KEY_STATE_REFUSED');
  }
  const { destroyAt, restoreState, destroyBy } = key;
  const next: KeyCourse = { state, destroyAt, restoreState: restoreState && state, destroyBy };
  const data = { from: key.state, reason };
  return moveKey(deps, key, next, { type: EVENT[state], actor, subject: keyId, data });
}

function mayBecome(key: StoredKey, state: SettableState): boolean {
  return (
    STATE_RULES[key.state].next.includes(state) &&
    (key.destroyAt === null || state === 'compromised')
  );
}
