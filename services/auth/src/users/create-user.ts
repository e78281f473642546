import { randomUUID } from 'node:crypto';
import type { Principal, Role } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Clock } from '@gigvault/time/clock';
import { newSetupCredential } from '../credentials/credential.ts';
import type { User, UserStore } from '../ports/user-store.ts';
import { normalizeUserName } from './user-name.ts';

/** What inviting a user needs. */
export interface InviteDeps {
  readonly users: UserStore;
  readonly clock: Clock;
  /** Milliseconds. */
  readonly setupTokenLifetime: number;
}

/** A user to be. */
export interface CreateUserRequest {
  readonly name: string;
  readonly displayName?: string;
  readonly roles: readonly Role[];
}

/** A user with the token to hand over. */
export interface InvitedUser {
  readonly user: User;
  /** Shown once; one use. */
  readonly setupToken: string;
  /** Unix milliseconds. */
  readonly setupTokenExpiresAt: number;
}

/**
 * Makes an invited user and the one-use setup token by which the person gets an API key.
 * Throws ALREADY_EXISTS, INVALID_ARGUMENT, and FORBIDDEN for a role that the caller may not give.
 */
export async function createUser(
  deps: InviteDeps,
  caller: Principal,
  request: CreateUserRequest,
): Promise<InvitedUser> {
  const name = normalizeUserName(request.name);
  const roles = [...new Set(request.roles)].sort();
  checkMayGrant(caller, roles);
  const now = deps.clock.now();
  const user: User = {
    userId: randomUUID(),
    name,
    displayName: request.displayName?.trim() || name,
    roles,
    status: 'invited',
    tenantId: caller.tenantId,
    createdAt: now,
  };
  const credential = newSetupCredential();
  const expiresAt = now + deps.setupTokenLifetime;
  const token = { tokenHash: credential.hash, roles, expiresAt };
  const event = { actor: caller.actor, subject: user.userId };
  await durableStep('auth.user', () =>
    deps.users.create(user, token, [
      { type: 'user.created', ...event, data: { name, roles } },
      { type: 'setup.created', ...event, data: { name, roles, expiresAt } },
    ]),
  );
  return { user, setupToken: credential.text, setupTokenExpiresAt: expiresAt };
}

/** Nobody gives a role that they do not hold, except administrators. Throws FORBIDDEN. */
function checkMayGrant(caller: Principal, roles: readonly Role[]): void {
  if (caller.roles.includes('admin')) return;
  const missing = roles.filter((role) => !caller.roles.includes(role));
  if (missing.length > 0)
    throw new GigvaultError(
      'FORBIDDEN',
      `You do not hold the role ${missing.join(', ')} and cannot give it.`,
    );
}
