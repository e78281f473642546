import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Permission, Principal } from './permissions.ts';

/** Errors: FORBIDDEN, naming the permission. */
export function requirePermission(principal: Principal, permission: Permission): void {
  if (principal.permissions.has(permission)) return;
  const message = `${principal.name} lacks the permission ${permission}.`;
  throw new GigvaultError('FORBIDDEN', message, { details: { permission } });
}
