import { hash } from 'node:crypto';
import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { SignatureFormat } from '@gigvault/keystore/key-store';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { isSignature, makeSignature } from '../backends/key-signature.ts';
import { requireHash } from '../keys/key-spec.ts';
import { type PersonDeps, useOwnKey } from '../keys/require-own-key.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { SIGNATURE_ALGORITHMS, type SignatureAlgorithm } from './person-algorithm.ts';
import { wrongSignature } from './sign.ts';

/** Octets that are signed for a person at once. */
export const MAX_DATA = 64 * 1024;

/** What a person asks. */
export interface SignDataRequest {
  readonly data: Buffer;
  readonly format: SignatureFormat;
  /** As `SHA-256`; only the one that the key's type has. Absent: that one. */
  readonly hash?: string | undefined;
}

/** What a person gets. */
export interface PersonSignature {
  readonly signature: Buffer;
  /** Of the key: which of its public keys verifies it. */
  readonly version: number;
  readonly algorithm: SignatureAlgorithm;
}

/**
 * Signs data, never a digest, with the current version of a person's key. The signature is verified (T13), and its event is in the log, before
 * anybody sees it; if the key was taken out of use or rotated meanwhile, it is forgotten here and everything begins anew.
 * Errors: those of requireOwnKey, KEY_USE_REFUSED unless the key is active and signs, INVALID_ARGUMENT for data of no or too many octets,
 * INVALID_HASH_ALGORITHM, KEY_LOST, KEY_UNAVAILABLE.
 */
export async function signForPerson(
  deps: PersonDeps,
  keyId: string,
  request: SignDataRequest,
  principal: Principal,
): Promise<PersonSignature> {
  requireSize(request.data);
  return useOwnKey(deps, keyId, 'sign', principal, (key) => attempt(deps, key, request, principal));
}

/** Undefined when somebody has changed the key meanwhile. */
async function attempt(
  deps: PersonDeps,
  key: StoredKey,
  request: SignDataRequest,
  { actor }: Principal,
): Promise<PersonSignature | undefined> {
  const { data, format } = request;
  const { keyId } = key;
  requireHash(key.keyType, request.hash);
  const { version, keyType } = key;
  const signature = await makeSignature(deps.backends, key, data, format);
  if (!(await isSignature(deps.backends, key, { data, signature, format })))
    throw wrongSignature(deps, key);
  const dataSha256 = hash('sha256', data);
  const told = { purpose: 'sign', caller: actor, count: 1, version, dataSha256 };
  const recorded = await durableStep('keymgr.use', () =>
    deps.keys.recordUse(key, { type: 'key.used', actor, subject: keyId, data: told }),
  );
  if (!recorded) return undefined;
  return {
    signature,
    version,
    algorithm: SIGNATURE_ALGORITHMS[keyType as keyof typeof SIGNATURE_ALGORITHMS],
  };
}

/** Errors: INVALID_ARGUMENT. */
export function requireSize(data: Buffer): void {
  if (data.length > 0 && data.length <= MAX_DATA) return;
  throw new GigvaultError('INVALID_ARGUMENT', `The data has 1 to ${MAX_DATA} octets.`, {
    problems: [{ pointer: '/data', message: `1 to ${MAX_DATA} octets` }],
  });
}
