import type { Role } from '@gigvault/access/permissions';
import type { NewApiKey } from './api-key-store.ts';
import type { AuthEvent } from './auth-event.ts';
import type { User } from './user-store.ts';

/** A one-use token by which a person becomes a user. Times are Unix milliseconds. */
export interface NewSetupToken {
  /** SHA-256 of the token's secret. */
  readonly tokenHash: Buffer;
  /** What the redeemer becomes when the token makes a new user; an invited user has roles already. */
  readonly roles: readonly Role[];
  readonly expiresAt: number;
}

/** What becomes true when a setup token is redeemed. */
export interface Redemption {
  readonly tokenHash: Buffer;
  readonly at: number;
  /** The user that the first administrator's token makes. An invited user's token ignores it. */
  readonly newUser: { readonly userId: string; readonly name: string };
  /** The user's first API key; `userId` is filled in. */
  readonly apiKey: Omit<NewApiKey, 'userId'>;
  /** @param revokedKeyIds keys that an invited user had left */
  events(user: User, revokedKeyIds: readonly string[]): readonly AuthEvent[];
}

/** What becomes true when the composition root asks for credentials. */
export interface Bootstrap {
  readonly at: number;
  /** Made at the first time; later its name finds the user that exists. */
  readonly operator: User;
  readonly apiKey: Omit<NewApiKey, 'userId'>;
  /** Replaces tokens for a first administrator that nobody redeemed, unless an administrator exists. */
  readonly setupToken: NewSetupToken;
  events(done: BootstrapDone): readonly AuthEvent[];
}

/** What a bootstrap found and did. */
export interface BootstrapDone {
  readonly userId: string;
  readonly userCreated: boolean;
  readonly revokedKeyIds: readonly string[];
  readonly setupTokenCreated: boolean;
}

/** Setup tokens, and the two changes that go with them. */
export interface SetupStore {
  /**
   * Redeems by compare-and-set: of many that try the same token one wins. Undefined when the token is unknown, used,
   * expired, or its user is not invited. Throws ALREADY_EXISTS, and leaves the token as it was, when the new name is taken.
   */
  redeem(redemption: Redemption): Promise<User | undefined>;
  bootstrap(bootstrap: Bootstrap): Promise<BootstrapDone>;
  /** Deletes tokens that expired unused before the time. */
  reap(before: number): Promise<void>;
}
