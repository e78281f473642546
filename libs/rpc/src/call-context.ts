import type { CallContext } from './call.ts';

/** The third argument of a Nest RPC handler. Both transports pass the call's context itself. */
export type RpcCall = CallContext;

/** The context of the call in hand. */
export function contextOf(call: RpcCall): CallContext {
  return call;
}
