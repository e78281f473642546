import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Backends } from '../backends/backends.ts';
import type { KeyTable } from '../ports/key-table.ts';
import type { UseLimits } from '../ports/use-limits.ts';
import { requireKeyId } from './key-spec.ts';
import type { KeyState } from './key-state.ts';
import { type RefusalDeps, refuseUse } from './refuse-use.ts';
import type { KeyVersion, StoredKey } from './stored-key.ts';

/** Why somebody has no part in a key. */
export const OTHER_TENANT = 'it is a key of another tenant';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
const SHOWN_VERSIONS = 100;

/** One page of keys, in order of key id. */
export interface ListedKeys {
  readonly items: readonly StoredKey[];
  /** Give it back for the next page; empty on the last one. */
  readonly nextCursor: string;
}

/** Errors: INVALID_KEY_ID (T67), KEY_NOT_FOUND. */
export async function getKey(
  deps: { readonly keys: Pick<KeyTable, 'find'> },
  keyId: string,
): Promise<StoredKey> {
  requireKeyId(keyId);
  const key = await deps.keys.find(keyId);
  if (key === undefined) throw keyNotFound(keyId);
  return key;
}

/** A key that a person looks at. Errors: those of getKey; KEY_NOT_FOUND for another tenant's key, too, and then the attempt is an event. */
export async function readKey(
  deps: RefusalDeps & { readonly keys: Pick<KeyTable, 'find'> },
  keyId: string,
  { tenantId, actor }: Principal,
): Promise<StoredKey> {
  const key = await getKey(deps, keyId);
  if (key.tenantId === tenantId) return key;
  await refuseUse(deps, keyId, { purpose: 'read', caller: actor }, OTHER_TENANT);
  throw keyNotFound(keyId);
}

/**
 * @param page limit 1 to 1000, 0 for 100; `cursor` empty for the first page; `actor` asks, as in events
 * Errors: RATE_LIMITED, INVALID_ARGUMENT, NOT_FOUND for a backend that is not there.
 */
export async function listKeys(
  deps: {
    readonly keys: Pick<KeyTable, 'list'>;
    readonly backends: Pick<Backends, 'named'>;
    readonly limits: UseLimits;
  },
  page: {
    readonly limit: number;
    readonly cursor: string;
    readonly actor: string;
    readonly tenantId?: string;
    readonly state?: KeyState | undefined;
    readonly backend?: string | undefined;
  },
): Promise<ListedKeys> {
  const limit = page.limit === 0 ? DEFAULT_LIMIT : page.limit;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new GigvaultError('INVALID_ARGUMENT', `limit is 1 to ${MAX_LIMIT}.`);
  }
  if (page.cursor !== '') requireKeyId(page.cursor);
  if (page.backend !== undefined) deps.backends.named(page.backend);
  await deps.limits.take('list', page.actor, '*');
  const found = await deps.keys.list({
    limit: limit + 1,
    after: page.cursor,
    tenantId: page.tenantId,
    state: page.state,
    backend: page.backend,
  });
  const items = found.slice(0, limit);
  return { items, nextCursor: found.length > limit ? items.at(-1)!.keyId : '' };
}

/** Of a key's earlier versions the newest 99: with the current one a hundred. */
export async function earlierVersions(
  deps: { readonly keys: Pick<KeyTable, 'versions'> },
  { keyId, version }: Pick<StoredKey, 'keyId' | 'version'>,
): Promise<readonly KeyVersion[]> {
  // Most keys are never rotated: the table need not be asked.
  return version === 1 ? [] : deps.keys.versions(keyId, version, SHOWN_VERSIONS - 1);
}

/** A version of a key by its number; undefined when there is none. */
export async function findVersion(
  deps: { readonly keys: Pick<KeyTable, 'versions'> },
  key: StoredKey,
  version: number,
): Promise<KeyVersion | undefined> {
  if (version === key.version) return key;
  // A ciphertext names any number of 32 bits, and the table's have 31.
  if (version > key.version) return undefined;
  const [found] = await deps.keys.versions(key.keyId, version + 1, 1);
  return found?.version === version ? found : undefined;
}

/** KEY_NOT_FOUND. */
export function keyNotFound(keyId: string): GigvaultError {
  return new GigvaultError('KEY_NOT_FOUND', `Key '${keyId}' not found.`, {
    details: { key_id: keyId },
  });
}
