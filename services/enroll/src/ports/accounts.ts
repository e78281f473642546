import type { PublicJwk } from '../jws/jwk.ts';

/** An ACME account (RFC 8555 §7.1.2). */
export interface Account {
  readonly accountId: string;
  readonly jwk: PublicJwk;
  /** RFC 7638, SHA-256, base64url. No two accounts have the same. */
  readonly jwkThumbprint: string;
  /** `mailto:` URIs. */
  readonly contact: readonly string[];
  readonly status: 'valid' | 'deactivated' | 'revoked';
  readonly termsOfServiceAgreed: boolean;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** One way to name an account. */
export type AccountKey = { readonly accountId: string } | { readonly jwkThumbprint: string };

/** Where accounts are kept. Every change is written together with its event. */
export interface Accounts {
  /** Keeps the account, unless its key has one already: then that one comes back, `created` false. */
  create(account: Account): Promise<{ readonly account: Account; readonly created: boolean }>;
  find(key: AccountKey): Promise<Account | undefined>;
  /** Changes a valid account; undefined when there is none. */
  update(
    accountId: string,
    change: { readonly contact: readonly string[] } | { readonly status: 'deactivated' },
  ): Promise<Account | undefined>;
  /**
   * Gives a valid account another key, if its key is still `from`.
   * Returns the account that has the new key afterwards: another one when the key was taken; undefined when the account changed meanwhile.
   */
  changeKey(
    accountId: string,
    from: string,
    to: { readonly jwk: PublicJwk; readonly jwkThumbprint: string },
  ): Promise<Account | undefined>;
}
