import type {
  Authenticator,
  Credentials,
  Permission,
  Principal,
} from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { currentCorrelation } from '@gigvault/telemetry/correlation';

/** What somebody asks for who has to be let in. */
export interface AskedOperation {
  readonly permission: Permission | 'signed-in';
  /** As its protocol names it: `signData`, `Sign`. */
  readonly operation: string;
  /** What names what it is about, as it came, not validated. Errors: those of reading it. */
  fields(): Readonly<Record<string, unknown>>;
}

/** What somebody may not do. */
export interface ForbiddenOperation {
  readonly permission: Permission;
  readonly operation: string;
  /** As of AskedOperation. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Tells of somebody who lacks the permission for an operation, before they hear it. */
export type TellForbidden = (principal: Principal, forbidden: ForbiddenOperation) => Promise<void>;

/** What an operation itself has refused somebody who may ask for it. */
export interface RefusedOperation extends Omit<ForbiddenOperation, 'permission'> {
  readonly reason: string;
}

/** Tells of it, before they hear it. */
export type TellRefused = (principal: Principal, refused: RefusedOperation) => Promise<void>;

/** Who lets people in to a service's operations, and who is told of those who may not do what they ask. */
export interface Door {
  readonly authenticator: Authenticator;
  readonly tellForbidden: TellForbidden;
  /** Absent: the operations tell it themselves. */
  readonly tellRefused?: TellRefused;
}

/** Of routes that ask nobody. */
export const NO_DOOR: Door = {
  authenticator: { authenticate: () => Promise.reject(new Error('nobody is asked here')) },
  tellForbidden: () => Promise.reject(new Error('nobody is refused here')),
};

/**
 * The one place, for REST and gRPC, in which people are asked who they are and whether they may. Errors: those of the authenticator; FORBIDDEN, naming the permission;
 * those of telling it: nobody is refused untold.
 */
export async function admit(
  { authenticator, tellForbidden }: Door,
  credentials: Credentials,
  { permission, operation, fields }: AskedOperation,
): Promise<Principal> {
  const principal = await authenticator.authenticate(credentials);
  const correlation = currentCorrelation();
  if (correlation) correlation.actor = principal.actor;
  if (permission === 'signed-in' || principal.permissions.has(permission)) return principal;
  await tellForbidden(principal, { permission, operation, fields: fields() });
  const message = `${principal.name} lacks the permission ${permission}.`;
  throw new GigvaultError('FORBIDDEN', message, { details: { permission } });
}
