import { randomUUID } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Answers, Calls } from '@gigvault/proto/rpc/v1/carrier';
import { traceIdOf } from '@gigvault/telemetry/correlation';
import {
  Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { createCarriedCalls } from './carried-calls.ts';
import { CARRIER } from './carrier.ts';
import { contracts, methodsOf } from './contract-descriptors.ts';
import { toServiceError } from './error-codec.ts';
import type { HandlerTable } from './handler-table.ts';
import { FLOW_CONTROL_WINDOW, MAX_MESSAGE } from './message-size.ts';
import { type MtlsIdentity, MtlsServerCredentials, peerOf } from './mtls-identity.ts';
import { addReflection } from './reflection.ts';
import type { PeerName } from './service-name.ts';

/** What listens. */
export interface GrpcServer {
  readonly port: number;
  /** Lets calls in flight end, for at most `grace` milliseconds. */
  stop(grace: number): Promise<void>;
}

/** What a gRPC listener needs. */
export interface GrpcServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly identity: MtlsIdentity;
  /** When two tables serve the same contract (event logs), neither is reachable here: ask the service's own listener. */
  readonly tables: readonly HandlerTable[];
}

/** Serves handler tables over mTLS gRPC, with `grpc.health.v1.Health` and reflection. Rejects with CONFLICT, naming the port, when it is in use. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE,
    'grpc.max_send_message_length': MAX_MESSAGE,
    'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW,
  });
  const health = new HealthImplementation({ '': 'SERVING' });
  health.addToServer(server);
  addReflection(server, contracts);
  const tables = soleServers(options.tables);
  const { trustDomain } = options.identity;
  const carried = createCarriedCalls(tables);
  server.addService(methodsOf({ fullName: CARRIER }) as unknown as ServiceDefinition, {
    Carry: (call: ServerDuplexStream<Calls, Answers>) =>
      carried.serve(call, callerOf(call, trustDomain)),
  });
  for (const [fullName, table] of tables) {
    const definition = methodsOf({ fullName });
    const implementation: Record<string, unknown> = {};
    for (const name of Object.keys(definition)) {
      implementation[name] = (call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) =>
        void answer(table, trustDomain, call, done);
    }
    server.addService(definition as unknown as ServiceDefinition, implementation as never);
    health.setStatus(fullName, 'SERVING');
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      `${options.host}:${options.port}`,
      new MtlsServerCredentials(options.identity),
      (error, bound) => (error ? reject(bindError(error, options.port)) : resolve(bound)),
    );
  });
  return {
    port,
    stop: (grace) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => server.forceShutdown(), grace);
        carried.drain();
        server.tryShutdown(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

function bindError(error: Error, port: number): Error {
  if (!error.message.includes('EADDRINUSE')) return error;
  return new GigvaultError(
    'CONFLICT',
    `Port ${port} (gRPC listener) is in use by another program.`,
    {
      details: { port },
      cause: error,
    },
  );
}

function soleServers(tables: readonly HandlerTable[]): Map<string, HandlerTable> {
  const servers = new Map<string, HandlerTable[]>();
  for (const table of tables) {
    for (const service of table.serves)
      servers.set(service.fullName, [...(servers.get(service.fullName) ?? []), table]);
  }
  return new Map(
    [...servers].flatMap(([name, all]) => (all.length === 1 && all[0] ? [[name, all[0]]] : [])),
  );
}

async function answer(
  table: HandlerTable,
  trustDomain: string,
  call: ServerUnaryCall<object, object>,
  done: sendUnaryData<object>,
): Promise<void> {
  const hangUp = new AbortController();
  call.on('cancelled', () => hangUp.abort(new GigvaultError('UNAVAILABLE', 'The caller gave up.')));
  try {
    const peer = callerOf(call, trustDomain);
    if (peer === undefined)
      throw new GigvaultError(
        'UNAUTHENTICATED',
        'The client certificate names no peer of this trust domain.',
      );
    const [requestId] = call.metadata.get('x-request-id');
    const [parent] = call.metadata.get('traceparent');
    const response = await table.dispatch({
      peer,
      rpc: call.getPath().slice(1),
      request: call.request,
      signal: hangUp.signal,
      requestId: requestId?.toString() ?? randomUUID(),
      traceId: traceIdOf(parent?.toString()),
      traceparent: parent?.toString(),
    });
    done(null, response);
  } catch (error) {
    done(toServiceError(error));
  }
}

/** Only the transport says who calls; metadata that claims an identity is never read. */
function callerOf(
  call: Pick<ServerUnaryCall<object, object>, 'getAuthContext'>,
  trustDomain: string,
): PeerName | undefined {
  return peerOf(
    call.getAuthContext().sslPeerCertificate as PeerCertificate | undefined,
    trustDomain,
  );
}
