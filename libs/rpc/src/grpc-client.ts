import { currentCorrelation, currentTraceparent } from '@gigvault/telemetry/correlation';
import { Client as GrpcChannel, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { CallOptions, Client } from './call.ts';
import { memberName, methodsOf, type RpcMethod } from './contract-descriptors.ts';
import type { RpcService } from './contracts.ts';
import { fromServiceError } from './error-codec.ts';
import { DEFAULT_DEADLINE } from './in-process-transport.ts';
import { MAX_MESSAGE } from './message-size.ts';
import { channelCredentials, type MtlsIdentity } from './mtls-identity.ts';
import type { ServiceName } from './service-name.ts';

/** Clients of services in other processes. */
export interface GrpcClients {
  client<S>(service: RpcService<S>, callee: ServiceName): Client<S>;
  close(): void;
}

/** @param addresses `host:port` of each service. */
export function createGrpcClients(
  identity: MtlsIdentity,
  addresses: Readonly<Record<string, string>>,
): GrpcClients {
  const channels = new Map<ServiceName, OpenChannel>();

  function channelTo(callee: ServiceName): OpenChannel {
    const open = channels.get(callee);
    if (open) return open;
    const address = addresses[callee];
    if (address === undefined) throw new Error(`no address is configured for ${callee}`);
    const channel = new GrpcChannel(address, channelCredentials(identity, callee), {
      // SNI must not be an IP address; the server's identity is its SPIFFE ID, whatever the name.
      'grpc.ssl_target_name_override': `${callee}.${identity.trustDomain}`,
      'grpc.max_receive_message_length': MAX_MESSAGE,
      'grpc.max_send_message_length': MAX_MESSAGE,
      // A process that died is back within seconds, and whoever calls it should not be the one who is waited for.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
    });
    const opened: OpenChannel = { channel, calls: 0, retired: false };
    channels.set(callee, opened);
    return opened;
  }

  // New material: new channels for new calls. The old ones close once their calls have ended.
  identity.onReplace(() => {
    for (const open of channels.values()) {
      open.retired = true;
      if (open.calls === 0) open.channel.close();
    }
    channels.clear();
  });

  return {
    client<S>(service: RpcService<S>, callee: ServiceName): Client<S> {
      const client: Record<string, unknown> = {};
      for (const [name, method] of Object.entries(methodsOf(service))) {
        client[memberName(name)] = (request: object, options: CallOptions = {}) =>
          call(channelTo(callee), callee, method, request, options);
      }
      return client as Client<S>;
    },
    close() {
      for (const { channel } of channels.values()) channel.close();
      channels.clear();
    },
  };
}

interface OpenChannel {
  readonly channel: GrpcChannel;
  calls: number;
  retired: boolean;
}

function call(
  open: OpenChannel,
  callee: ServiceName,
  method: RpcMethod,
  request: object,
  options: CallOptions,
): Promise<object> {
  const metadata = new Metadata();
  const traceparent = currentTraceparent();
  if (traceparent !== undefined) metadata.set('traceparent', traceparent);
  const correlation = currentCorrelation();
  if (correlation) metadata.set('x-request-id', correlation.requestId);
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + (options.deadline ?? DEFAULT_DEADLINE);
    open.calls++;
    const unary = open.channel.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline },
      (error: ServiceError | null, response?: object) => {
        options.signal?.removeEventListener('abort', hangUp);
        if (--open.calls === 0 && open.retired) open.channel.close();
        if (error) reject(fromServiceError(error, callee));
        else resolve(response as object);
      },
    );
    const hangUp = () => unary.cancel();
    if (options.signal?.aborted) hangUp();
    options.signal?.addEventListener('abort', hangUp, { once: true });
  });
}
