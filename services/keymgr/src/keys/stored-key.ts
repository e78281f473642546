import type { KeyHandle } from '@gigvault/keystore/key-store';
import type { PeerName } from '@gigvault/rpc/service-name';
import type { PublicKeyInfo } from '@gigvault/x509/public-key';
import type { Purpose } from './grants.ts';

/** NIST SP 800-57 part 1 §7. Only an active key signs. */
export type KeyState = 'pre-active' | 'active' | 'deactivated' | 'destroyed';

/** A key as keymgr knows it; the private part stays in the backend. */
export interface StoredKey {
  /** `^[A-Za-z0-9-]{1,255}$`; what callers use. The handle is the backend's own. */
  readonly keyId: string;
  readonly state: KeyState;
  readonly publicKey: PublicKeyInfo;
  readonly backend: string;
  readonly handle: KeyHandle;
  /** Empty for a person's key: nothing here signs with it yet. */
  readonly purposes: readonly Purpose[];
  readonly callers: readonly PeerName[];
  /** DER Name that stands as issuer in all that a CA key signs; null for other keys. */
  readonly issuerName: Buffer | null;
  /** Who it belongs to, as an event's actor. */
  readonly owner: string;
  readonly tenantId: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}
