import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { SignatureFormat } from '@gigvault/keystore/key-store';
import { isSignature } from '../backends/key-signature.ts';
import { earlierVersions, findVersion, getKey } from '../keys/find-keys.ts';
import { requireHash } from '../keys/key-spec.ts';
import type { KeyState } from '../keys/key-state.ts';
import { requireFit } from '../keys/require-fit.ts';
import { type PersonDeps, requireOwnKey } from '../keys/require-own-key.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';
import { requireSize } from './sign-for-person.ts';

/** What a person asks. */
export interface VerifyRequest {
  readonly data: Buffer;
  readonly signature: Buffer;
  readonly format: SignatureFormat;
  /** Only this version of the key; undefined: the current one, then the newest 99 earlier ones. */
  readonly version?: number | undefined;
  /** As SignDataRequest's. */
  readonly hash?: string | undefined;
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
 * Verifies with the key's versions, the newest first. Asks a backend only for keys without a public half. Uses are counted, as those of `ocspSign`.
 * Errors: for keys without a public half those of requireOwnKey; INVALID_ARGUMENT, KEY_NOT_FOUND for an unknown version too, KEY_USE_REFUSED for a key that is pre-active or destroyed,
 * or encrypts; INVALID_HASH_ALGORITHM; KEY_UNAVAILABLE.
 */
export async function verifyForPerson(
  deps: PersonDeps,
  keyId: string,
  request: VerifyRequest,
  principal: Principal,
): Promise<Verdict> {
  requireSize(request.data);
  const known = await getKey(deps, keyId);
  const isOpen = known.publicKey !== null && known.tenantId === principal.tenantId;
  // A public key is for everybody who reads it; who verifies with a secret one could as well have made what it verifies.
  const key = isOpen ? known : await requireOwnKey(deps, keyId, 'verify', principal);
  const { state } = key;
  await requireFit(deps, key, 'verify', principal.actor);
  requireHash(key.keyType, request.hash);
  const versions = await versionsToTry(deps, key, request.version);
  deps.usage.used({ keyId, purpose: 'verify', caller: principal.actor });
  for (const version of versions)
    if (await isSignature(deps.backends, version, request))
      return { valid: true, version: version.version, state };
  return { valid: false, state };
}

async function versionsToTry(
  { keys }: Pick<PersonDeps, 'keys'>,
  key: StoredKey,
  asked: number | undefined,
): Promise<readonly KeyVersion[]> {
  if (asked === undefined) return [key, ...(await earlierVersions({ keys }, key))];
  const found = await findVersion({ keys }, key, asked);
  if (found !== undefined) return [found];
  throw new GigvaultError('KEY_NOT_FOUND', `Key '${key.keyId}' has no version ${asked}.`, {
    details: { key_id: key.keyId, version: asked },
  });
}
