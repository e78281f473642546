import type { TellForbidden } from '@gigvault/http/admit';
import { isKeyHandle } from '@gigvault/keystore/key-store';
import type { IncomingCall } from '@gigvault/rpc/handler-table';
import { type RefusalDeps, refuseUse } from '../keys/refuse-use.ts';

/** Tells of people whose roles lack the permission for an operation on keys. Durable as other refusals. */
export function tellForbidden(deps: RefusalDeps): TellForbidden {
  return async ({ actor }, { permission, operation, fields }) => {
    const use = { purpose: operation, caller: actor };
    await refuseUse(deps, namedKey(fields['keyId']), use, `their roles lack ${permission}`);
  };
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
