import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyHandle, KeyStore, NewKeyOptions } from '@gigvault/keystore/key-store';
import { isRsaKeyType, isSecretKeyType } from '@gigvault/keystore/key-types';
import { type PairKeyInfo, readPairKey } from '@gigvault/keystore/pair-key';
import type { PeerName } from '@gigvault/rpc/service-name';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { KeyType } from '@gigvault/x509/public-key';
import type { Backends } from '../backends/backends.ts';
import type { KeyTable } from '../ports/key-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import { discardKey } from './discard-key.ts';
import type { Purpose } from './grants.ts';
import { type KeySpec, requireKeyId } from './key-spec.ts';
import { type KeyVersion, type StoredKey, type VersionName, versionName } from './stored-key.ts';

/** What making and finding keys needs. */
export interface KeyDeps {
  readonly backends: Backends;
  readonly keys: KeyTable;
  readonly limits: UseLimits;
  readonly clock: Clock;
}

/** The facts of a key to be made; whoever builds this has checked that they may. */
export interface NewKey extends KeySpec {
  readonly keyId: string;
  /** Absent: the one of new keys. */
  readonly backend?: string | undefined;
  readonly purposes: readonly Purpose[];
  readonly callers: readonly PeerName[];
  readonly issuerName: Buffer | null;
  readonly owner: string;
  readonly tenantId: string;
  /** Who made it, as in events. */
  readonly actor: string;
}

/** The types of services' keys, in the order in which they are told. */
export const SERVICE_KEY_TYPES = [
  'ec-p256',
  'ec-p384',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ed25519',
] as const satisfies readonly KeyType[];

/**
 * Makes a key in the backend, then the row by which it is known, with its `key.generated` event.
 * Errors: INVALID_KEY_ID, ALREADY_EXISTS, NOT_FOUND (backend), OPERATION_NOT_SUPPORTED, KEY_UNAVAILABLE.
 */
export async function createKey(deps: KeyDeps, request: NewKey): Promise<StoredKey> {
  requireKeyId(request.keyId);
  const { keyType, usage } = request;
  if ((await deps.keys.find(request.keyId)) !== undefined) throw alreadyExists(request.keyId);
  const made = await makeKey(deps, request, { keyId: request.keyId, version: 1 }, request.backend);
  const { keyId, purposes, callers, issuerName, owner, tenantId, actor } = request;
  const now = deps.clock.now();
  const key: StoredKey = {
    keyId,
    keyType,
    usage,
    state: 'active',
    destroyAt: null,
    restoreState: null,
    destroyBy: [],
    version: 1,
    ...made,
    versionCreatedAt: now,
    purposes,
    callers,
    issuerName,
    owner,
    grants: [],
    grantsVersion: 0,
    tenantId,
    createdAt: now,
  };
  const data = {
    backend: key.backend,
    callers,
    keyType,
    owner,
    purposes,
    ...(key.publicKey === null ? {} : { spkiSha256: key.publicKey.spkiSha256 }),
    ...(usage === 'sign' ? {} : { usage }),
  };
  const inserted = await durableStep('keymgr.key', () =>
    deps.keys.insert(key, { type: 'key.generated', actor, subject: keyId, data }),
  );
  if (inserted) return key;
  // Only now is it certain that no row of ours names this handle: after an error the row may be there all the same.
  await discardKey(deps, { keyId, version: 1 }, made);
  throw alreadyExists(keyId);
}

/**
 * A new key in a backend. Nobody names it yet: who does not store it removes it. Errors: NOT_FOUND (backend), OPERATION_NOT_SUPPORTED for what the
 * backend does not make, KEY_UNAVAILABLE.
 *
 * @param backend undefined: the one of new keys
 */
export async function makeKey(
  { backends }: Pick<KeyDeps, 'backends'>,
  spec: KeySpec,
  which: VersionName,
  backend: string | undefined,
): Promise<Pick<KeyVersion, 'publicKey' | 'backend' | 'handle'>> {
  const keyStore = backend === undefined ? backends.forNewKeys : backends.named(backend);
  const handle = await generateIn(keyStore, spec, {
    label: which.keyId,
    name: versionName(which),
  });
  const publicKey = await publicKeyIn(keyStore, spec, handle);
  return { publicKey, backend: keyStore.backend, handle };
}

/** The public half of a key that a backend has made. Errors: KEY_UNAVAILABLE. */
export async function publicKeyIn(
  keyStore: KeyStore,
  { keyType }: Pick<KeySpec, 'keyType'>,
  handle: KeyHandle,
): Promise<PairKeyInfo | null> {
  return isSecretKeyType(keyType) ? null : readPairKey(await keyStore.publicKey(handle));
}

/** A new key in this backend, as KeyStore.generate. Errors: OPERATION_NOT_SUPPORTED, KEY_UNAVAILABLE. */
export async function generateIn(
  keyStore: KeyStore,
  { keyType, usage }: KeySpec,
  names: NewKeyOptions,
): Promise<KeyHandle> {
  const { backend, secretKeys, privateDecryption } = keyStore;
  if (isSecretKeyType(keyType)) {
    if (secretKeys) return secretKeys.generate(keyType, names);
    throw notSupported(backend, `makes no keys of type ${keyType}`);
  }
  if (usage === 'sign') return keyStore.generate(keyType, names);
  if (privateDecryption && isRsaKeyType(keyType)) return privateDecryption.generate(keyType, names);
  throw notSupported(backend, 'makes no private keys that decrypt');
}

/** OPERATION_NOT_SUPPORTED. @param what goes on after the backend's name */
export function notSupported(backend: string, what: string): GigvaultError {
  return new GigvaultError('OPERATION_NOT_SUPPORTED', `Backend '${backend}' ${what}.`, {
    details: { backend },
  });
}

/** Errors: INVALID_ARGUMENT. */
export function requireServiceKeyType(text: string): KeyType {
  const keyType = SERVICE_KEY_TYPES.find((known) => known === text);
  if (keyType !== undefined) return keyType;
  const known = SERVICE_KEY_TYPES.join(', ');
  throw new GigvaultError('INVALID_ARGUMENT', `Key type '${text}' is not one of ${known}.`, {
    problems: [{ pointer: '/keyType', message: `one of ${known}` }],
  });
}

function alreadyExists(keyId: string): GigvaultError {
  return new GigvaultError('ALREADY_EXISTS', `Key '${keyId}' already exists.`, {
    details: { key_id: keyId },
  });
}
