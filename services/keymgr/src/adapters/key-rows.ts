import { parseKeyHandle } from '@gigvault/keystore/key-store';
import type { PeerName } from '@gigvault/rpc/service-name';
import { readPublicKey } from '@gigvault/x509/public-key';
import type { Purpose } from '../keys/grants.ts';
import type { KeyGrant } from '../keys/key-grant.ts';
import type { KeyState } from '../keys/key-state.ts';
import type { KeyVersion, StoredKey } from '../keys/stored-key.ts';

/** Of `key`, in the order of `keyValues`. */
export const KEY_COLUMNS = `key_id, state, version, spki, backend, handle, version_created_at, destroy_at, restore_state, purposes, callers,
  issuer_name, owner, tenant_id, created_at, grants, grants_version`;

/** A row of `key_version`. */
export interface VersionRow {
  readonly version: number;
  readonly spki: Buffer;
  readonly backend: string;
  readonly handle: string;
  readonly version_created_at: Date;
}

/** A row of `key`. */
export interface KeyRow extends VersionRow {
  readonly key_id: string;
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
}

/** One parameter for each of KEY_COLUMNS. */
export function keyValues(key: StoredKey): unknown[] {
  return [
    key.keyId,
    key.state,
    key.version,
    key.publicKey.spki,
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
  ];
}

/** As a parameter. */
export function toDate(time: number | null): Date | null {
  return time === null ? null : new Date(time);
}

/** The row's key pair. */
export function toKeyVersion(row: VersionRow): KeyVersion {
  return {
    version: row.version,
    publicKey: readPublicKey(row.spki),
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
  };
}
