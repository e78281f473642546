import type { Principal } from '@gigvault/access/permissions';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { decryptionFailed } from '@gigvault/keystore/secret-key';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { secretKeysOf } from '../backends/key-signature.ts';
import { notSupported } from '../backends/make-key.ts';
import { findVersion } from '../keys/find-keys.ts';
import { refuseUse } from '../keys/refuse-use.ts';
import { type PersonDeps, useOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { MAX_DATA } from '../signing/sign-for-person.ts';
import { AES_OVERHEAD, type Ciphertext, HEADER_OCTETS, readCiphertext } from './ciphertext.ts';
import { MAX_ADDITIONAL_DATA, requireOctets } from './encrypt-for-person.ts';

/** Octets of a ciphertext at most. */
export const MAX_CIPHERTEXT = MAX_DATA + AES_OVERHEAD;

/** What a person asks. */
export interface DecryptRequest {
  /** See ciphertext.ts. */
  readonly ciphertext: Buffer;
  /** What was given when it was encrypted. */
  readonly additionalData: Buffer;
}

/** What a person gets. */
export interface PersonPlaintext {
  readonly plaintext: Buffer;
  /** Of the key: which one had encrypted it. */
  readonly version: number;
}

/**
 * Decrypts with the version of a person's key that the ciphertext names, in every state in which what was protected is processed. Its event is in the
 * log before anybody sees the plaintext, as that of a signature. What does not decrypt is told as a refusal.
 * Errors: those of requireOwnKey, KEY_USE_REFUSED for a key that is pre-active or destroyed, or signs; DECRYPTION_FAILED, which says no more;
 * INVALID_ARGUMENT for sizes, KEY_LOST, KEY_UNAVAILABLE.
 */
export async function decryptForPerson(
  deps: PersonDeps,
  keyId: string,
  request: DecryptRequest,
  principal: Principal,
): Promise<PersonPlaintext> {
  requireOctets('ciphertext', request.ciphertext, HEADER_OCTETS + 1, MAX_CIPHERTEXT);
  requireOctets('additionalData', request.additionalData, 0, MAX_ADDITIONAL_DATA);
  return useOwnKey(deps, keyId, 'decrypt', principal, (key) =>
    attempt(deps, key, request, principal),
  );
}

/** Undefined when somebody has changed the key meanwhile. */
async function attempt(
  deps: PersonDeps,
  key: StoredKey,
  request: DecryptRequest,
  { actor }: Principal,
): Promise<PersonPlaintext | undefined> {
  const { keyId } = key;
  const use = { purpose: 'decrypt', caller: actor };
  const opened = await open(deps, key, request).catch(async (error: unknown) => {
    const { code } = asGigvaultError(error);
    if (code !== 'DECRYPTION_FAILED') throw error;
    throw await refuseUse(deps, keyId, use, 'the ciphertext does not decrypt', code);
  });
  const { version, plaintext } = opened;
  const told = { ...use, count: 1, version, octets: plaintext.length };
  const recorded = await durableStep('keymgr.use', () =>
    deps.keys.recordUse(key, { type: 'key.used', actor, subject: keyId, data: told }),
  );
  return recorded ? opened : undefined;
}

async function open(
  deps: PersonDeps,
  key: StoredKey,
  { ciphertext, additionalData }: DecryptRequest,
): Promise<PersonPlaintext> {
  const { version, header, sealed }: Ciphertext = readCiphertext(ciphertext);
  const found = await findVersion(deps, key, version);
  if (found === undefined) throw decryptionFailed();
  const { backends } = deps;
  if (found.publicKey === null) {
    const authenticated = Buffer.concat([header, additionalData]);
    const secretKeys = secretKeysOf(backends, found);
    return { version, plaintext: await secretKeys.decrypt(found.handle, sealed, authenticated) };
  }
  const { privateDecryption } = backends.of(found.backend);
  if (!privateDecryption) throw notSupported(found.backend, 'does not decrypt');
  const plaintext = await privateDecryption.decrypt(found.handle, sealed, additionalData);
  return { version, plaintext };
}
