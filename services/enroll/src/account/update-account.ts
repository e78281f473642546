import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Account, Accounts } from '../ports/accounts.ts';
import type { RateLimits } from '../ports/rate-limits.ts';
import { checkContact } from './contact.ts';

/** What changing an account needs. */
export interface ChangeAccountDeps {
  readonly accounts: Accounts;
  readonly limits: RateLimits;
}

/** The payload of an account update. Whatever else it holds is ignored (RFC 8555 §7.3.2). */
export interface AccountUpdate {
  readonly contact?: readonly string[] | undefined;
  readonly status?: string | undefined;
}

/**
 * Deactivates the account, for ever, or replaces its contacts (RFC 8555 §7.3.2, §7.3.6).
 * Errors: INVALID_ARGUMENT for another status, INVALID_CONTACT, UNSUPPORTED_CONTACT, RATE_LIMITED; UNAUTHENTICATED when
 * it was deactivated meanwhile.
 */
export async function updateAccount(
  { accounts, limits }: ChangeAccountDeps,
  account: Account,
  update: AccountUpdate,
): Promise<Account> {
  if (
    update.status !== undefined &&
    update.status !== 'deactivated' &&
    update.status !== account.status
  ) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'An account can only be given the status "deactivated".',
    );
  }
  const change =
    update.status === 'deactivated'
      ? ({ status: 'deactivated' } as const)
      : update.contact && { contact: checkContact(update.contact) };
  if (!change) return account;
  if ('contact' in change) limits.change(account.accountId);
  const changed = await accounts.update(account.accountId, change);
  if (!changed) throw new GigvaultError('UNAUTHENTICATED', 'The account is deactivated.');
  return changed;
}
