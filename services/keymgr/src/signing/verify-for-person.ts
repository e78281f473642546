import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import type { SignatureFormat } from '@gigvault/keystore/key-store';
import { earlierVersions, getKey } from '../keys/find-keys.ts';
import { type KeyState, STATE_RULES } from '../keys/key-state.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import { requireSize } from './sign-for-person.ts';

/** What a person asks. */
export interface VerifyRequest {
  readonly data: Buffer;
  readonly signature: Buffer;
  readonly format: SignatureFormat;
  /** Only this version of the key; undefined: the current one, then the newest 99 earlier ones. */
  readonly version?: number | undefined;
}

/** What a person is told. */
export interface Verdict {
  readonly valid: boolean;
  /** The version that verifies it. */
  readonly version?: number;
  /** Of the key: who relies on a signature of one that is `suspended` or `compromised` should know when it was made. */
  readonly state: KeyState;
}

/**
 * Verifies with the public keys of the key's versions, the newest first. Asks no backend. Uses are counted, as those of `ocspSign`.
 * Errors: INVALID_ARGUMENT, KEY_NOT_FOUND for an unknown version too, KEY_USE_REFUSED for a key that is pre-active or destroyed.
 */
export async function verifyForPerson(
  deps: PersonDeps,
  keyId: string,
  request: VerifyRequest,
  principal: Principal,
): Promise<Verdict> {
  requireSize(request.data);
  const key = await getKey(deps, keyId, principal.tenantId);
  const { state } = key;
  const use = { purpose: 'verify', caller: principal.actor };
  if (!STATE_RULES[state].verifies) throw await refuseUse(deps, keyId, use, `key is ${state}`);
  const versions = await versionsToTry(deps, key, request.version);
  deps.usage.used({ ...use, keyId });
  const { data, signature, format } = request;
  for (const { version, publicKey } of versions)
    if (await verifyWith(publicKey.keyObject, data, signature, format))
      return { valid: true, version, state };
  return { valid: false, state };
}

async function versionsToTry(
  { keys }: Pick<PersonDeps, 'keys'>,
  key: StoredKey,
  asked: number | undefined,
): Promise<readonly KeyVersion[]> {
  if (asked === undefined) return [key, ...(await earlierVersions({ keys }, key))];
  if (asked === key.version) return [key];
  const found = await keys.versions(key.keyId, asked + 1, 1);
  if (found[0]?.version === asked) return found;
  throw new GigvaultError('KEY_NOT_FOUND', `Key '${key.keyId}' has no version ${asked}.`, {
    details: { key_id: key.keyId, version: asked },
  });
}
