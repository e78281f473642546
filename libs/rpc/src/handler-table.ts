import { EventEmitter, once } from 'node:events';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { withCorrelation } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type OpenSpan, openSpan } from '@gigvault/telemetry/span';
import { status } from '@grpc/grpc-js';
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
  /** The caller's span as it came over the wire; in one process the active span is the caller's. */
  readonly traceparent?: string | undefined;
}

/** Tells of a call of a peer that peers.yaml does not list, before the peer hears it. */
export type TellRefusedCall = (call: IncomingCall) => Promise<void>;

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
  readonly #count: (call: AnsweredCall, failure?: GigvaultError) => void;
  readonly #idle = new EventEmitter();
  #inFlight = 0;

  constructor(
    private readonly service: ServiceName,
    private readonly serves: readonly RpcService<unknown>[],
    private readonly peers: PeerTable,
    private readonly log: Log,
    metrics?: Metrics,
    private readonly tellRefused?: TellRefusedCall,
  ) {
    super({ package: [], url: '' });
    this.#count = callCounter(metrics);
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

  /** Begins no more calls, and waits for those in flight: a handler goes on when its caller has hung up, and stands on what is closed next. */
  override async close(): Promise<void> {
    this.#handlers.clear();
    if (this.#inFlight > 0) await once(this.#idle, 'idle');
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
    const start = performance.now();
    const span = openCallSpan(call);
    const correlation = { traceId: span.traceId ?? call.traceId, requestId: call.requestId };
    let failure: GigvaultError | undefined;
    this.#inFlight++;
    try {
      return await span.run(() => withCorrelation(correlation, () => this.#answer(handler, call)));
    } catch (error) {
      failure = asGigvaultError(error);
      throw failure;
    } finally {
      const seconds = (performance.now() - start) / 1000;
      this.#count({ method: call.rpc, seconds, traceId: correlation.traceId }, failure);
      span.end({ 'rpc.grpc.status_code': failure?.row.grpc ?? 0 }, failure);
      if (--this.#inFlight === 0) this.#idle.emit('idle');
    }
  }

  async #answer(handler: NestHandler, call: IncomingCall): Promise<object> {
    const { peer, rpc, signal, requestId } = call;
    if (!this.peers.allows(peer, this.service, rpc)) {
      this.log.warn(
        { operation: rpc, 'actor.id': `service:${peer}`, outcome: 'refused' },
        'peer is not allowed to call this',
      );
      await this.tellRefused?.(call);
      throw new GigvaultError('FORBIDDEN', `${peer} may not call ${rpc}.`);
    }
    try {
      return await run(handler, call.request, { peer, rpc, signal, requestId });
    } catch (error) {
      const ours = asGigvaultError(error);
      if (ours.code === 'INTERNAL')
        this.log.error({ operation: rpc, error: ours.cause ?? ours }, 'call failed');
      throw ours;
    }
  }
}

/** Long polls, which would fill every trace store with spans that tell nothing. */
const UNTRACED = 'gigvault.event.v1.EventLogService/Pull';

function openCallSpan(call: IncomingCall): OpenSpan {
  if (call.rpc === UNTRACED) return NO_SPAN;
  return openSpan(call.rpc, { kind: 'server', traceparent: call.traceparent });
}

const NO_SPAN: OpenSpan = { traceId: undefined, run: (run) => run(), end: () => undefined };

interface AnsweredCall {
  readonly method: string;
  readonly seconds: number;
  readonly traceId: string;
}

/** Counts calls of either transport; the status is gRPC's name of it, as `PERMISSION_DENIED`. */
function callCounter(metrics: Metrics | undefined) {
  const total = metrics?.counter('grpc_requests_total', 'RPCs answered, over either transport.', [
    'method',
    'status',
  ] as const);
  const duration = metrics?.histogram(
    'grpc_request_duration_seconds',
    'Time to answer an RPC, over either transport.',
    ['method'] as const,
  );
  return ({ method, seconds, traceId }: AnsweredCall, failure?: GigvaultError) => {
    total?.inc({ method, status: status[failure?.row.grpc ?? status.OK] });
    duration?.observe({ method }, seconds, traceId);
  };
}

async function run(handler: NestHandler, request: object, context: CallContext): Promise<object> {
  const answer = await handler(request, undefined, context);
  return (isObservable(answer) ? await lastValueFrom(answer) : answer) as object;
}
