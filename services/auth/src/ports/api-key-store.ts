import type { AuthEvent } from './auth-event.ts';
import type { User } from './user-store.ts';

/** A long-lived credential of a user. Times are Unix milliseconds. */
export interface ApiKey {
  /** 16 hex digits. */
  readonly keyId: string;
  readonly userId: string;
  readonly label: string;
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly lastUsedAt?: number;
  readonly revokedAt?: number;
}

/** An API key with what proves it. */
export interface NewApiKey extends ApiKey {
  /** SHA-256 of the secret part. */
  readonly secretHash: Buffer;
}

/** A key and whose it is. */
export interface KeyOfUser {
  readonly key: NewApiKey;
  readonly user: User;
}

/** API keys. */
export interface ApiKeyStore {
  /**
   * Stores the key, unless its user is not active or has `most` keys already that work at `key.createdAt`; the answer says so.
   * Throws ALREADY_EXISTS when the key id is taken.
   */
  create(
    key: NewApiKey,
    most: number,
    events: readonly AuthEvent[],
  ): Promise<'created' | 'user-inactive' | 'too-many'>;
  /** The key, revoked or not, and its user. */
  find(keyId: string): Promise<KeyOfUser | undefined>;
  /** Writes that the key was used; false, and no event, when it was revoked meanwhile. */
  use(keyId: string, at: number, events: readonly AuthEvent[]): Promise<boolean>;
  /** Keys of the user, newest first: every one that works at this time, and others up to 1000. */
  list(userId: string, at: number): Promise<readonly ApiKey[]>;
  /** Revokes the key; does nothing, and writes no event, the second time. */
  revoke(keyId: string, at: number, events: readonly AuthEvent[]): Promise<void>;
  /** Ids of the keys that were revoked since the time, whatever revoked them. */
  revokedSince(time: number): Promise<readonly string[]>;
  /** Deletes the keys that stopped to work before the time. */
  reap(before: number): Promise<void>;
}
