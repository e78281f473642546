import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { PeerName } from '@gigvault/rpc/service-name';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { type KeyType, readPublicKey } from '@gigvault/x509/public-key';
import type { Backends } from '../backends/backends.ts';
import type { KeyTable } from '../ports/key-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import type { Purpose } from './grants.ts';
import type { KeyVersion, StoredKey } from './stored-key.ts';

/** What making and finding keys needs. */
export interface KeyDeps {
  readonly backends: Backends;
  readonly keys: KeyTable;
  readonly limits: UseLimits;
  readonly clock: Clock;
}

/** The facts of a key to be made; whoever builds this has checked that they may. */
export interface NewKey {
  readonly keyId: string;
  readonly keyType: string;
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

/** The key types that may be asked for. */
export const KEY_TYPES = [
  'ec-p256',
  'ec-p384',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ed25519',
] as const satisfies readonly KeyType[];

/**
 * Makes a key pair in the backend, then the row by which it is known, with its `key.generated` event.
 * Errors: INVALID_ARGUMENT (key id, key type), ALREADY_EXISTS, NOT_FOUND (backend), KEY_UNAVAILABLE.
 */
export async function createKey(deps: KeyDeps, request: NewKey): Promise<StoredKey> {
  parseKeyHandle(request.keyId);
  const keyType = requireKeyType(request.keyType);
  if ((await deps.keys.find(request.keyId)) !== undefined) throw alreadyExists(request.keyId);
  const pair = await makeKeyPair(deps, keyType, request.keyId, request.backend);
  const { keyId, purposes, callers, issuerName, owner, tenantId, actor } = request;
  const now = deps.clock.now();
  const key: StoredKey = {
    keyId,
    state: 'active',
    destroyAt: null,
    restoreState: null,
    version: 1,
    ...pair,
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
    spkiSha256: key.publicKey.spkiSha256,
  };
  const inserted = await durableStep('keymgr.key', () =>
    deps.keys.insert(key, { type: 'key.generated', actor, subject: keyId, data }),
  );
  if (inserted) return key;
  // Only now is it certain that no row names this handle: after an error the row may be there all the same.
  await deps.backends.of(pair.backend).remove(pair.handle);
  throw alreadyExists(keyId);
}

/**
 * A new key pair in a backend. Nobody names it yet: who does not store it removes it. Errors: NOT_FOUND (backend), KEY_UNAVAILABLE.
 *
 * @param backend undefined: the one of new keys
 */
export async function makeKeyPair(
  { backends }: Pick<KeyDeps, 'backends'>,
  keyType: KeyType,
  keyId: string,
  backend?: string,
): Promise<Pick<KeyVersion, 'publicKey' | 'backend' | 'handle'>> {
  const keyStore = backend === undefined ? backends.forNewKeys : backends.named(backend);
  const handle = await keyStore.generate(keyType, { label: keyId });
  const publicKey = readPublicKey(await keyStore.publicKey(handle));
  return { publicKey, backend: keyStore.backend, handle };
}

function requireKeyType(text: string): KeyType {
  const keyType = KEY_TYPES.find((known) => known === text);
  if (keyType !== undefined) return keyType;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `Key type '${text}' is not one of ${KEY_TYPES.join(', ')}.`,
    {
      problems: [{ pointer: '/keyType', message: `one of ${KEY_TYPES.join(', ')}` }],
    },
  );
}

function alreadyExists(keyId: string): GigvaultError {
  return new GigvaultError('ALREADY_EXISTS', `Key '${keyId}' already exists.`, {
    details: { key_id: keyId },
  });
}
