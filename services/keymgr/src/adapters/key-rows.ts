import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { AnyKeyType } from '@gigvault/keystore/key-types';
import { type PairKeyInfo, readPairKey } from '@gigvault/keystore/pair-key';
import type { PeerName } from '@gigvault/rpc/service-name';
import { LRUCache } from 'lru-cache';
import type { KeyGrant } from '../keys/key-grant.ts';
import type { KeyState } from '../keys/key-state.ts';
import type { Purpose } from '../keys/purposes.ts';
import type { KeyVersion, StoredKey, Usage } from '../keys/stored-key.ts';

/** Of `key`, in the order of `keyValues`. */
export const KEY_COLUMNS = `key_id, key_type, usage, state, version, spki, backend, handle, version_created_at, destroy_at, restore_state, purposes, callers,
  issuer_name, owner, tenant_id, created_at, grants, grants_version, destroy_by`;

/** A row of `key_version`. */
export interface VersionRow {
  readonly version: number;
  readonly spki: Buffer | null;
  readonly backend: string;
  readonly handle: string;
  readonly version_created_at: Date;
}

/** A row of `key`. */
export interface KeyRow extends VersionRow {
  readonly key_id: string;
  readonly key_type: AnyKeyType;
  readonly usage: Usage;
  readonly state: KeyState;
  readonly destroy_at: Date | null;
  readonly restore_state: KeyState | null;
  readonly purposes: Purpose[];
  readonly callers: PeerName[];
  readonly issuer_name: Buffer | null;
  readonly owner: string;
  readonly tenant_id: string;
  readonly created_at: Date;
  readonly grants: KeyGrant[];
  readonly grants_version: number;
  readonly destroy_by: string[];
}

/** One parameter for each of KEY_COLUMNS. */
export function keyValues(key: StoredKey): unknown[] {
  return [
    key.keyId,
    key.keyType,
    key.usage,
    key.state,
    key.version,
    key.publicKey?.spki ?? null,
    key.backend,
    key.handle,
    new Date(key.versionCreatedAt),
    toDate(key.destroyAt),
    key.restoreState,
    key.purposes,
    key.callers,
    key.issuerName,
    key.owner,
    key.tenantId,
    new Date(key.createdAt),
    JSON.stringify(key.grants),
    key.grantsVersion,
    key.destroyBy,
  ];
}

/** As a parameter. */
export function toDate(time: number | null): Date | null {
  return time === null ? null : new Date(time);
}

/** By their SubjectPublicKeyInfo: to import one takes longer than all else that is done for a row. */
const publicKeys = new LRUCache<string, PairKeyInfo>({ max: 1_000 });

function publicKeyOf(spki: Buffer): PairKeyInfo {
  const octets = spki.toString('latin1');
  const known = publicKeys.get(octets) ?? readPairKey(spki);
  publicKeys.set(octets, known);
  return known;
}

/** The row's version. */
export function toKeyVersion(row: VersionRow): KeyVersion {
  return {
    version: row.version,
    publicKey: row.spki === null ? null : publicKeyOf(row.spki),
    backend: row.backend,
    handle: parseKeyHandle(row.handle),
    versionCreatedAt: row.version_created_at.getTime(),
  };
}

/** The row's key. */
export function toStoredKey(row: KeyRow): StoredKey {
  return {
    ...toKeyVersion(row),
    keyId: row.key_id,
    keyType: row.key_type,
    usage: row.usage,
    state: row.state,
    destroyAt: row.destroy_at?.getTime() ?? null,
    restoreState: row.restore_state,
    purposes: row.purposes,
    callers: row.callers,
    issuerName: row.issuer_name,
    owner: row.owner,
    tenantId: row.tenant_id,
    createdAt: row.created_at.getTime(),
    grants: row.grants,
    grantsVersion: row.grants_version,
    destroyBy: row.destroy_by,
  };
}
