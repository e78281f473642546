import { randomUUID } from 'node:crypto';
import {
  asGigvaultError,
  fromErrorRecord,
  GigvaultError,
  toErrorRecord,
} from '@gigvault/errors/gigvault-error';
import { currentCorrelation, traceIdOf } from '@gigvault/telemetry/correlation';
import type { CallOptions, Client } from './call.ts';
import { memberName, methodsOf, type RpcMethod } from './contract-descriptors.ts';
import type { RpcService } from './contracts.ts';
import { withDeadline } from './deadline.ts';
import type { HandlerTable } from './handler-table.ts';
import type { PeerName, ServiceName } from './service-name.ts';

/** The services of one process, by name. */
export interface InProcessBroker {
  register(table: HandlerTable): void;
  client<S>(caller: PeerName, service: RpcService<S>, callee: ServiceName): Client<S>;
}

/**
 * Calls between services of one process: the same handlers, peer table, deadlines and errors as on the wire.
 *
 * @param encode passes every message through the contract's codec, as the wire would. Tests switch it on;
 *   without it messages are shared by reference and must not be changed by either side.
 */
export function createInProcessBroker(options: { encode: boolean }): InProcessBroker {
  const tables = new Map<ServiceName, HandlerTable>();

  async function call(
    caller: PeerName,
    callee: ServiceName,
    method: RpcMethod,
    request: object,
    callOptions: CallOptions,
  ) {
    const table = tables.get(callee);
    if (table === undefined) throw new GigvaultError('UNAVAILABLE', `${callee} does not run here.`);
    const hangUp = new AbortController();
    const correlation = currentCorrelation();
    const answer = table.dispatch({
      peer: caller,
      rpc: method.path.slice(1),
      request: options.encode
        ? method.requestDeserialize(method.requestSerialize(request))
        : request,
      signal: hangUp.signal,
      requestId: correlation?.requestId ?? randomUUID(),
      traceId: correlation?.traceId ?? traceIdOf(undefined),
    });
    try {
      const response = await withDeadline(answer, hangUp, callee, callOptions);
      return options.encode
        ? method.responseDeserialize(method.responseSerialize(response))
        : response;
    } catch (error) {
      // The caller gets a copy made of the parts that travel, so that nothing works here that would not work on the wire.
      throw fromErrorRecord(toErrorRecord(asGigvaultError(error)));
    }
  }

  return {
    register(table) {
      if (tables.has(table.service)) throw new Error(`${table.service} is registered twice`);
      tables.set(table.service, table);
    },
    client<S>(caller: PeerName, service: RpcService<S>, callee: ServiceName): Client<S> {
      const client: Record<string, unknown> = {};
      for (const [name, method] of Object.entries(methodsOf(service))) {
        client[memberName(name)] = (request: object, callOptions: CallOptions = {}) =>
          call(caller, callee, method, request, callOptions);
      }
      return client as Client<S>;
    },
  };
}
