import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyOfUser } from '../ports/api-key-store.ts';
import { type ApiKeyDeps, userIdOf } from './create-api-key.ts';

/** True while the key is neither revoked nor expired, and its user is active. */
export function isUsable({ key, user }: KeyOfUser, now: number): boolean {
  const expired = key.expiresAt !== undefined && key.expiresAt <= now;
  return !expired && key.revokedAt === undefined && user.status === 'active';
}

/**
 * An access token outlives its key and its user's account by seconds elsewhere, or by minutes without a way to `auth`, and there that is bearable. Here it is not: whoever
 * was shut out would make a new key or a new user with it, and be back. Throws UNAUTHENTICATED.
 */
export async function requireUsableKey(deps: ApiKeyDeps, caller: Principal): Promise<void> {
  const found = caller.credentialId && (await deps.apiKeys.find(caller.credentialId));
  const usable =
    found && found.user.userId === userIdOf(caller) && isUsable(found, deps.clock.now());
  if (!usable)
    throw new GigvaultError('UNAUTHENTICATED', 'The access token is invalid.', {
      details: { reason: 'invalid' },
    });
}
