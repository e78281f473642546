import type { Permission, Principal } from '@gigvault/access/permissions';
import type { HttpRoute } from '@gigvault/http/route';
import { isKeyHandle } from '@gigvault/keystore/key-store';
import type { IncomingCall } from '@gigvault/rpc/handler-table';
import { type RefusalDeps, refuseUse } from '../keys/refuse-use.ts';

/** What somebody may not do. */
export interface ForbiddenOperation {
  readonly permission: Permission;
  /** As its protocol names it: `signData`, `Sign`. */
  readonly operation: string;
  /** As it was asked for, whatever that is. */
  readonly keyId: unknown;
}

/** Tells of a person whose roles lack the permission for an operation, which their protocol refuses. Durable as other refusals. */
export async function tellForbidden(
  deps: RefusalDeps,
  { actor }: Principal,
  { permission, operation, keyId }: ForbiddenOperation,
): Promise<void> {
  const use = { purpose: operation, caller: actor };
  await refuseUse(deps, namedKey(keyId), use, `their roles lack ${permission}`);
}

/** The routes, each of which tells of those who lack its permission. */
export function tellingRoutes(deps: RefusalDeps, routes: readonly HttpRoute[]): HttpRoute[] {
  return routes.map((route) => {
    if (route.kind === 'protocol') return route;
    const { permission, operationId: operation } = route;
    if (permission === 'anonymous' || permission === 'signed-in') return route;
    return {
      ...route,
      tellForbidden: (principal, { keyId }) =>
        tellForbidden(deps, principal, { permission, operation, keyId }),
    };
  });
}

/** Tells of a service that called what peers.yaml does not let it (T61). */
export async function tellForeignCall(
  deps: RefusalDeps,
  { peer, rpc, request }: Pick<IncomingCall, 'peer' | 'rpc' | 'request'>,
): Promise<void> {
  const use = { purpose: rpc.slice(rpc.lastIndexOf('.') + 1), caller: peer };
  const { keyId } = request as { readonly keyId?: unknown };
  await refuseUse(deps, namedKey(keyId), use, 'peers.yaml does not let it call this');
}

/** `*` for what names no key. */
function namedKey(keyId: unknown): string {
  return isKeyHandle(keyId) ? keyId : '*';
}
