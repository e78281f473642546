import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { withCorrelation } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import { type CustomTransportStrategy, ServerGrpc } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';
import type { CallContext } from './call.ts';
import { methodsOf } from './contract-descriptors.ts';
import type { RpcService } from './contracts.ts';
import type { PeerTable } from './peers.ts';
import type { PeerName, ServiceName } from './service-name.ts';

type NestHandler = (data: unknown, metadata: unknown, call: CallContext) => unknown;

/** A call as a transport delivers it, after it has authenticated the peer. */
export interface IncomingCall {
  readonly peer: PeerName;
  readonly rpc: string;
  readonly request: object;
  readonly signal: AbortSignal;
  readonly requestId: string;
  readonly traceId: string;
}

/** Everything one service answers, whatever the transport: the peer table is asked here, once, for both. */
export interface HandlerTable {
  readonly service: ServiceName;
  readonly serves: readonly RpcService<unknown>[];
  /** Errors: FORBIDDEN when peers.yaml does not list the caller; what the handler throws. */
  dispatch(call: IncomingCall): Promise<object>;
}

/**
 * The Nest transport that collects a service's `@GrpcMethod` handlers into a HandlerTable. It is a ServerGrpc only in
 * type: Nest hands metadata and call to handlers of no other transport. Nothing listens here.
 */
export class HandlerTableServer extends ServerGrpc implements CustomTransportStrategy {
  readonly table: HandlerTable;
  readonly #handlers = new Map<string, NestHandler>();

  constructor(
    private readonly service: ServiceName,
    private readonly serves: readonly RpcService<unknown>[],
    private readonly peers: PeerTable,
    private readonly log: Log,
  ) {
    super({ package: [], url: '' });
    this.table = { service, serves, dispatch: (call) => this.#dispatch(call) };
  }

  /** Checks that contracts, handlers and peers.yaml name the same RPCs; a difference stops the start. */
  override async listen(done: (error?: unknown) => void): Promise<void> {
    try {
      this.#collect();
      done();
    } catch (error) {
      done(error);
    }
  }

  override async close(): Promise<void> {
    this.#handlers.clear();
  }

  #collect(): void {
    const byShortName = new Map(this.serves.map((s) => [s.fullName.split('.').at(-1), s.fullName]));
    for (const [pattern, handler] of this.messageHandlers) {
      const { service, rpc } = JSON.parse(pattern) as { service: string; rpc: string };
      const fullName = byShortName.get(service);
      if (fullName === undefined)
        throw new Error(`${this.service} handles ${service}, which it does not list in "serves"`);
      this.#handlers.set(`${fullName}/${rpc}`, handler as unknown as NestHandler);
    }
    const wanted = this.serves.flatMap((s) =>
      Object.keys(methodsOf(s)).map((m) => `${s.fullName}/${m}`),
    );
    const missing = wanted.filter((rpc) => !this.#handlers.has(rpc));
    if (missing.length > 0)
      throw new Error(`${this.service} has no handler for ${missing.join(', ')}`);
    const configured = this.peers.rpcsOf(this.service);
    const unknown = configured.filter((rpc) => !this.#handlers.has(rpc));
    if (unknown.length > 0)
      throw new Error(
        `peers.yaml names RPCs that ${this.service} does not serve: ${unknown.join(', ')}`,
      );
    const unlisted = wanted.filter((rpc) => !configured.includes(rpc));
    if (unlisted.length > 0)
      throw new Error(
        `peers.yaml does not say who may call ${this.service}: ${unlisted.join(', ')}`,
      );
  }

  async #dispatch(call: IncomingCall): Promise<object> {
    const handler = this.#handlers.get(call.rpc);
    if (handler === undefined)
      throw new GigvaultError('METHOD_NOT_ALLOWED', `${this.service} does not serve ${call.rpc}.`);
    if (!this.peers.allows(call.peer, this.service, call.rpc)) {
      this.log.warn(
        { operation: call.rpc, 'actor.id': `service:${call.peer}`, outcome: 'refused' },
        'peer is not allowed to call this',
      );
      throw new GigvaultError('FORBIDDEN', `${call.peer} may not call ${call.rpc}.`);
    }
    const context: CallContext = {
      peer: call.peer,
      rpc: call.rpc,
      signal: call.signal,
      requestId: call.requestId,
    };
    try {
      return await withCorrelation({ traceId: call.traceId, requestId: call.requestId }, () =>
        run(handler, call.request, context),
      );
    } catch (error) {
      const ours = asGigvaultError(error);
      if (ours.code === 'INTERNAL') {
        this.log.error(
          { operation: call.rpc, trace_id: call.traceId, error: ours.cause ?? ours },
          'call failed',
        );
      }
      throw ours;
    }
  }
}

async function run(handler: NestHandler, request: object, context: CallContext): Promise<object> {
  const answer = await handler(request, undefined, context);
  return (isObservable(answer) ? await lastValueFrom(answer) : answer) as object;
}
