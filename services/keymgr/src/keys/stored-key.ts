import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyHandle } from '@gigvault/keystore/key-store';
import { type AnyKeyType, isMlDsaKeyType } from '@gigvault/keystore/key-types';
import type { PairKeyInfo } from '@gigvault/keystore/pair-key';
import type { PeerName } from '@gigvault/rpc/service-name';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import type { KeyGrant } from './key-grant.ts';
import type { KeyState } from './key-state.ts';
import type { Purpose } from './purposes.ts';

/** What a key is for: it signs and verifies, or it encrypts and decrypts, never both. */
export const USAGES = ['sign', 'encrypt'] as const;

/** One of USAGES. */
export type Usage = (typeof USAGES)[number];

/** One version of a key: the private part stays in the backend. */
export interface KeyVersion {
  /** Counts from 1; the highest is the current one, which signs. */
  readonly version: number;
  /** Null for AES and HMAC, which have no public half. */
  readonly publicKey: PairKeyInfo | null;
  readonly backend: string;
  readonly handle: KeyHandle;
  /** Unix milliseconds. */
  readonly versionCreatedAt: number;
}

/** Which version of which key. */
export interface VersionName {
  readonly keyId: string;
  readonly version: number;
}

/** What a backend knows it by that finds keys by name. */
export function versionName({ keyId, version }: VersionName): string {
  return `${keyId}/${version}`;
}

/** A key as keymgr knows it, with its current version. */
export interface StoredKey extends KeyVersion {
  /** `^[A-Za-z0-9-]{1,255}$`; what callers use. The handle is the backend's own. */
  readonly keyId: string;
  /** The same in all versions. */
  readonly keyType: AnyKeyType;
  readonly usage: Usage;
  readonly state: KeyState;
  /** When its destruction is due, Unix milliseconds; null when none is scheduled. */
  readonly destroyAt: number | null;
  /** The state that an undo of its destruction gives back; null when none is scheduled, or it has begun. */
  readonly restoreState: KeyState | null;
  /**
   * Who wants it destroyed, as events' actors: who asked first, then those who approved. Empty when none is scheduled, or an earlier version scheduled it without
   * saying who asked.
   */
  readonly destroyBy: readonly string[];
  /** Empty for a person's key: no service signs with it. */
  readonly purposes: readonly Purpose[];
  readonly callers: readonly PeerName[];
  /** DER Name that stands as issuer in all that a CA key signs; null for other keys. */
  readonly issuerName: Buffer | null;
  /** Who it belongs to, as an event's actor. */
  readonly owner: string;
  /** Who else may do what with it. */
  readonly grants: readonly KeyGrant[];
  /** Counts the changes of `grants`, from 0. */
  readonly grantsVersion: number;
  readonly tenantId: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** The public half of a key that certificates and services' signatures are about. Errors: KEY_USE_REFUSED for a key that has none of that kind. */
export function publicKeyOf({
  keyId,
  publicKey,
}: Pick<StoredKey, 'keyId' | 'publicKey'>): PublicKeyInfo {
  if (publicKey !== null && isX509Key(publicKey)) return publicKey;
  throw new GigvaultError(
    'KEY_USE_REFUSED',
    `Key '${keyId}' is of a type that services do not use.`,
  );
}

function isX509Key(publicKey: PairKeyInfo): publicKey is PublicKeyInfo {
  return !isMlDsaKeyType(publicKey.keyType);
}
