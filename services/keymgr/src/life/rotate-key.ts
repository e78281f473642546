import type { Principal } from '@gigvault/access/permissions';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { makeKey } from '../backends/make-key.ts';
import { discardKey } from '../creation/discard-key.ts';
import { STATE_RULES } from '../keys/key-state.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { type PersonDeps, requireOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import type { KeyEvent } from '../ports/key-event.ts';
import { changedMeanwhile, staleVersion } from './move-key.ts';

/**
 * Makes a new key of the same type and usage the current version; the earlier ones verify, or decrypt. It is made first, where the current version is,
 * then one transaction names it: nobody who chose a token finds the next version in a file.
 * Errors: those of requireOwnKey, KEY_STATE_REFUSED unless the key is active, CONFLICT when somebody changed it meanwhile or `version` is not the
 * current one, which it names, KEY_UNAVAILABLE, OPERATION_NOT_SUPPORTED when the backend makes none of this type.
 *
 * @param version the version that is to be replaced, so that a repetition replaces no other; undefined: whichever is current
 */
export async function rotateKey(
  deps: PersonDeps,
  keyId: string,
  version: number | undefined,
  principal: Principal,
): Promise<StoredKey> {
  const key = await requireOwnKey(deps, keyId, 'rotate', principal);
  const { actor } = principal;
  if (!STATE_RULES[key.state].rotates) {
    const use = { purpose: 'rotate', caller: actor };
    throw await refuseUse(deps, keyId, use, `key is ${key.state}`, 'KEY_STATE_REFUSED');
  }
  if (version !== undefined && version !== key.version) throw staleVersion(key, version);
  const nextVersion = { keyId, version: key.version + 1 };
  const made = await makeKey(deps, key, nextVersion, key.backend);
  const next = { ...made, version: nextVersion.version, versionCreatedAt: deps.clock.now() };
  const event: KeyEvent = {
    type: 'key.rotated',
    actor,
    subject: keyId,
    data: {
      backend: made.backend,
      version: next.version,
      ...(made.publicKey && { spkiSha256: made.publicKey.spkiSha256 }),
      ...(key.publicKey && { earlierSpkiSha256: key.publicKey.spkiSha256 }),
    },
  };
  if (await durableStep('keymgr.rotation', () => deps.keys.rotate(key, next, event)))
    return { ...key, ...next };
  // Only now is it certain that no row of ours names this handle: after an error the row may be there all the same.
  await discardKey(deps, nextVersion, made);
  const now = await deps.keys.find(keyId);
  throw now === undefined || now.version === key.version
    ? changedMeanwhile(keyId)
    : staleVersion(now, key.version);
}
