import { randomBytes } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import type { SignerKey } from '../jws/jwk.ts';
import type { Account, Accounts } from '../ports/accounts.ts';
import type { RateLimits } from '../ports/rate-limits.ts';
import { checkContact } from './contact.ts';

/** What creating an account needs. */
export interface CreateAccountDeps {
  readonly accounts: Accounts;
  readonly clock: Clock;
  readonly limits: RateLimits;
  /** URL of the terms that an account must agree to; '' for none. */
  readonly termsOfService: string;
}

/** The payload of new-account. */
export interface NewAccount {
  readonly contact: readonly string[];
  readonly termsOfServiceAgreed: boolean;
  readonly onlyReturnExisting: boolean;
}

/**
 * Makes the account of a key, or returns the one it has (RFC 8555 §7.3, §7.3.1).
 * Errors: ACCOUNT_DOES_NOT_EXIST with onlyReturnExisting; UNAUTHENTICATED when the key's account is deactivated;
 * INVALID_CONTACT, UNSUPPORTED_CONTACT; INVALID_ARGUMENT when the terms of service are not agreed to; RATE_LIMITED.
 *
 * @param address the client's.
 */
export async function createAccount(
  deps: CreateAccountDeps,
  key: SignerKey,
  wanted: NewAccount,
  address: string,
): Promise<{ readonly account: Account; readonly created: boolean }> {
  const existing = await deps.accounts.find({ jwkThumbprint: key.thumbprint });
  if (existing) return { account: requireValid(existing), created: false };
  if (wanted.onlyReturnExisting) {
    throw new GigvaultError('ACCOUNT_DOES_NOT_EXIST', 'No account has this key.');
  }
  if (deps.termsOfService !== '' && !wanted.termsOfServiceAgreed) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The terms of service at ${deps.termsOfService} must be agreed to.`,
    );
  }
  const contact = checkContact(wanted.contact);
  deps.limits.newAccount(address);
  const result = await deps.accounts.create({
    accountId: randomBytes(15).toString('base64url'),
    jwk: key.jwk,
    jwkThumbprint: key.thumbprint,
    contact,
    status: 'valid',
    termsOfServiceAgreed: wanted.termsOfServiceAgreed,
    createdAt: deps.clock.now(),
  });
  return { account: requireValid(result.account), created: result.created };
}

/** The account when it may act. Errors: UNAUTHENTICATED (401) when it is deactivated or revoked (RFC 8555 §7.3.6, T38). */
export function requireValid(account: Account): Account {
  if (account.status !== 'valid') {
    throw new GigvaultError('UNAUTHENTICATED', `The account is ${account.status}.`);
  }
  return account;
}
