import type { Principal } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpRequest } from '@gigvault/http/route';

/** Credentials must not stay in a cache (RFC 6749 §5.1). */
export const NO_STORE = { 'cache-control': 'no-store' };

/** The principal of a signed-in operation. Throws UNAUTHENTICATED; the host has checked before. */
export function callerOf(request: Pick<HttpRequest, 'principal'>): Principal {
  if (!request.principal) throw new GigvaultError('UNAUTHENTICATED', 'Not signed in.');
  return request.principal;
}

/** Unix milliseconds as RFC 3339 in UTC. */
export function rfc3339(time: number): string {
  return new Date(time).toISOString();
}
