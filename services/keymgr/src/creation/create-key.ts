import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { PeerName } from '@gigvault/rpc/service-name';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { KeyType } from '@gigvault/x509/public-key';
import { makeKey } from '../backends/make-key.ts';
import type { KeyDeps } from '../keys/key-deps.ts';
import { type KeySpec, requireKeyId } from '../keys/key-spec.ts';
import type { FirstState } from '../keys/key-state.ts';
import type { Purpose } from '../keys/purposes.ts';
import type { StoredKey } from '../keys/stored-key.ts';
import { discardKey } from './discard-key.ts';

/** The facts of a key to be made; whoever builds this has checked that they may. */
export interface NewKey extends KeySpec {
  readonly keyId: string;
  /** Absent: the one of new keys. */
  readonly backend?: string | undefined;
  /** Absent: `active`. */
  readonly state?: FirstState | undefined;
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
  const { keyType, usage, state = 'active' } = request;
  if ((await deps.keys.find(request.keyId)) !== undefined) throw alreadyExists(request.keyId);
  const made = await makeKey(deps, request, { keyId: request.keyId, version: 1 }, request.backend);
  const { keyId, purposes, callers, issuerName, owner, tenantId, actor } = request;
  const now = deps.clock.now();
  const key: StoredKey = {
    keyId,
    keyType,
    usage,
    state,
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
    ...(state === 'active' ? {} : { state }),
  };
  const inserted = await durableStep('keymgr.key', () =>
    deps.keys.insert(key, { type: 'key.generated', actor, subject: keyId, data }),
  );
  if (inserted) return key;
  // Only now is it certain that no row of ours names this handle: after an error the row may be there all the same.
  await discardKey(deps, { keyId, version: 1 }, made);
  throw alreadyExists(keyId);
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
