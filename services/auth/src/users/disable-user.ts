import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import type { User, UserStore } from '../ports/user-store.ts';
import { findUser } from './find-user.ts';

/**
 * Disables a user: API keys and setup tokens stop to work at once, and so do access tokens in this service; elsewhere they live
 * to the end of their short life. Does nothing the second time. Throws USER_NOT_FOUND, and FORBIDDEN for the caller's own account
 * and the last administrator.
 */
export async function disableUser(
  deps: { readonly users: UserStore; readonly clock: Clock },
  caller: Principal,
  idOrName: string,
): Promise<User> {
  const user = await findUser(deps, idOrName);
  if (caller.actor === `user:${user.userId}`)
    throw new GigvaultError('FORBIDDEN', 'Nobody disables their own account.');
  const event = { type: 'user.disabled', actor: caller.actor, subject: user.userId } as const;
  const disabled = await durableStep('auth.disable', () =>
    deps.users.disable(user.userId, deps.clock.now(), (revokedKeyIds) => [
      { ...event, data: { name: user.name, revokedKeyIds } },
    ]),
  );
  if (!disabled)
    throw new GigvaultError('FORBIDDEN', `${user.name} is the last administrator who is active.`);
  return { ...user, status: 'disabled' };
}
