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

/** API keys. */
export interface ApiKeyStore {
  /** Throws ALREADY_EXISTS when the key id is taken. */
  create(key: NewApiKey, events: readonly AuthEvent[]): Promise<void>;
  /** The key, revoked or not, and its user. */
  find(keyId: string): Promise<{ readonly key: NewApiKey; readonly user: User } | undefined>;
  /** Writes that the key was used; false, and no event, when it was revoked meanwhile. */
  use(keyId: string, at: number, events: readonly AuthEvent[]): Promise<boolean>;
  /** All keys of the user, newest first, at most 1000. */
  list(userId: string): Promise<readonly ApiKey[]>;
  /** Revokes the key; does nothing, and writes no event, the second time. */
  revoke(keyId: string, at: number, events: readonly AuthEvent[]): Promise<void>;
}
