import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { KeyOfUser } from '../ports/api-key-store.ts';
import type { UserStore } from '../ports/user-store.ts';
import { type ApiKeyDeps, userIdOf } from './create-api-key.ts';

/** True while the key is neither revoked nor expired, and its user is active. */
export function isUsable({ key, user }: KeyOfUser, now: number): boolean {
  const expired = key.expiresAt !== undefined && key.expiresAt <= now;
  return !expired && key.revokedAt === undefined && user.status === 'active';
}

/** What judging a caller needs. */
export interface UsableDeps extends ApiKeyDeps {
  readonly users: Pick<UserStore, 'find'>;
}

/**
 * An access token outlives its key and its user's account by seconds elsewhere, or by minutes without a way to `auth`, and there that is bearable. Here it is not: whoever
 * was shut out would make a new key or a new user with it, and be back. Throws UNAUTHENTICATED.
 */
export async function requireUsableKey(deps: UsableDeps, caller: Principal): Promise<void> {
  if (caller.certificateId !== undefined) return requireActive(deps, caller);
  const found = caller.credentialId && (await deps.apiKeys.find(caller.credentialId));
  const usable =
    found && found.user.userId === userIdOf(caller) && isUsable(found, deps.clock.now());
  if (!usable) throw refused('The access token is invalid.');
}

/** Who came by a client certificate has no key that could end; the user may have been disabled in the last ten seconds. */
async function requireActive({ users }: UsableDeps, caller: Principal): Promise<void> {
  const user = await users.find(userIdOf(caller));
  if (user?.status !== 'active') throw refused('The client certificate is not accepted.');
}

function refused(message: string): GigvaultError {
  return new GigvaultError('UNAUTHENTICATED', message, { details: { reason: 'invalid' } });
}
