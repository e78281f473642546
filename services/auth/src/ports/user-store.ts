import type { Role } from '@gigvault/access/permissions';
import type { AuthEvent } from './auth-event.ts';
import type { NewSetupToken } from './setup-store.ts';

/** A person or a machine that may sign in. */
export interface User {
  readonly userId: string;
  /** Unique, lower case. */
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly Role[];
  /** `invited` until the setup token is redeemed. */
  readonly status: 'invited' | 'active' | 'disabled';
  readonly tenantId: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** A part of a list, in order of name. */
export interface UserPage {
  /** 1 to 1000. */
  readonly limit: number;
  /** The last name of the page before; '' for the first page. */
  readonly after: string;
}

/** Users. */
export interface UserStore {
  /** Stores an invited user with the token that activates it. Throws ALREADY_EXISTS when the name is taken. */
  create(user: User, setupToken: NewSetupToken, events: readonly AuthEvent[]): Promise<void>;
  find(idOrName: string): Promise<User | undefined>;
  list(page: UserPage): Promise<readonly User[]>;
  /**
   * Disables the user, revokes its API keys and invalidates its setup tokens. Does nothing, and writes no event, the second time.
   * False, and nothing is done, for the last administrator who is active.
   */
  disable(
    userId: string,
    at: number,
    events: (revokedKeyIds: readonly string[]) => readonly AuthEvent[],
  ): Promise<boolean>;
  /** Replaces the setup tokens of a user, who is invited then; false when the user is active. */
  invite(userId: string, setupToken: NewSetupToken, events: readonly AuthEvent[]): Promise<boolean>;
}
