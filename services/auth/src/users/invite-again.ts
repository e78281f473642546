import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import { newSetupCredential } from '../credentials/credential.ts';
import type { InviteDeps, InvitedUser } from './create-user.ts';
import { findUser } from './find-user.ts';
import { OPERATOR_NAME } from './user-name.ts';

/**
 * A new setup token for a user who has not set up yet, or was disabled. Tokens that were not redeemed stop to work.
 * An active user gets none: whoever holds the token would act in that user's name, approvals included.
 * Throws USER_NOT_FOUND, CONFLICT when the user is active, and FORBIDDEN when the user may do more than the caller, and for the
 * machine's own operator: nobody acts in its name.
 */
export async function inviteAgain(
  deps: InviteDeps,
  caller: Principal,
  idOrName: string,
): Promise<InvitedUser> {
  const user = await findUser(deps, idOrName);
  if (!caller.roles.includes('admin') && user.roles.some((role) => !caller.roles.includes(role)))
    throw new GigvaultError('FORBIDDEN', 'This user has roles that you do not hold.');
  if (user.name === OPERATOR_NAME)
    throw new GigvaultError(
      'FORBIDDEN',
      `${OPERATOR_NAME} is no person: it gets its key at each start.`,
    );
  const credential = newSetupCredential();
  const expiresAt = deps.clock.now() + deps.setupTokenLifetime;
  const token = { tokenHash: credential.hash, roles: user.roles, expiresAt };
  const data = { name: user.name, roles: user.roles, expiresAt };
  const event = { type: 'setup.created', actor: caller.actor, subject: user.userId, data } as const;
  const invited = await durableStep('auth.invite', () =>
    deps.users.invite(user.userId, token, [event]),
  );
  if (!invited)
    throw new GigvaultError(
      'CONFLICT',
      `User ${user.name} is active. To help someone who lost the API key, disable the user first.`,
    );
  return {
    user: { ...user, status: 'invited' },
    setupToken: credential.text,
    setupTokenExpiresAt: expiresAt,
  };
}
