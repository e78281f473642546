import { randomUUID } from 'node:crypto';
import { currentCorrelation, currentTraceparent } from '@gigvault/telemetry/correlation';
import { Client as GrpcChannel, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { CallOptions, Client } from './call.ts';
import { type Carrier, createCarrier, LARGEST_CARRIED, NOT_CARRIED } from './carrier.ts';
import { memberName, methodsOf, type RpcMethod } from './contract-descriptors.ts';
import type { RpcService } from './contracts.ts';
import { DEFAULT_DEADLINE, withDeadline } from './deadline.ts';
import { fromServiceError } from './error-codec.ts';
import { FLOW_CONTROL_WINDOW, MAX_MESSAGE } from './message-size.ts';
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
      'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW,
      // A process that died is back within seconds, and whoever calls it should not be the one who is waited for.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 500,
    });
    const opened: OpenChannel = {
      channel,
      carrier: createCarrier(channel, callee),
      carries: true,
      calls: 0,
      retired: false,
    };
    channels.set(callee, opened);
    return opened;
  }

  // New material: new channels for new calls. The old ones close once their calls have ended.
  identity.onReplace(() => {
    for (const open of channels.values()) {
      open.retired = true;
      if (open.calls === 0) closeChannel(open);
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
      for (const open of channels.values()) closeChannel(open);
      channels.clear();
    },
  };
}

interface OpenChannel {
  readonly channel: GrpcChannel;
  readonly carrier: Carrier;
  /** False once the callee has said that it carries nothing. */
  carries: boolean;
  calls: number;
  retired: boolean;
}

function closeChannel({ carrier, channel }: OpenChannel): void {
  carrier.close();
  channel.close();
}

async function call(
  open: OpenChannel,
  callee: ServiceName,
  method: RpcMethod,
  request: object,
  options: CallOptions,
): Promise<object> {
  const octets = method.requestSerialize(request);
  open.calls++;
  try {
    return method.responseDeserialize(await answerTo(open, callee, method, octets, options));
  } finally {
    open.calls--;
    if (open.calls === 0 && open.retired) closeChannel(open);
  }
}

async function answerTo(
  open: OpenChannel,
  callee: ServiceName,
  method: RpcMethod,
  octets: Buffer,
  options: CallOptions,
): Promise<Buffer> {
  if (open.carries && octets.length <= LARGEST_CARRIED) {
    try {
      return await carriedCall(open.carrier, callee, method, octets, options);
    } catch (error) {
      if (error !== NOT_CARRIED) throw error;
      open.carries = false;
    }
  }
  return singleCall(open.channel, callee, method, octets, options);
}

function carriedCall(
  carrier: Carrier,
  callee: ServiceName,
  { path }: RpcMethod,
  request: Buffer,
  options: CallOptions,
): Promise<Buffer> {
  const hangUp = new AbortController();
  const parts = {
    rpc: path.slice(1),
    request,
    requestId: currentCorrelation()?.requestId ?? randomUUID(),
    traceparent: currentTraceparent() ?? '',
  };
  return withDeadline(carrier.call(parts, hangUp.signal), hangUp, callee, options);
}

function singleCall(
  channel: GrpcChannel,
  callee: ServiceName,
  method: RpcMethod,
  octets: Buffer,
  options: CallOptions,
): Promise<Buffer> {
  const metadata = new Metadata();
  const traceparent = currentTraceparent();
  if (traceparent !== undefined) metadata.set('traceparent', traceparent);
  const correlation = currentCorrelation();
  if (correlation) metadata.set('x-request-id', correlation.requestId);
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + (options.deadline ?? DEFAULT_DEADLINE);
    const unary = channel.makeUnaryRequest(
      method.path,
      (request: Buffer) => request,
      (response: Buffer) => response,
      octets,
      metadata,
      { deadline },
      (error: ServiceError | null, response?: Buffer) => {
        options.signal?.removeEventListener('abort', hangUp);
        if (error) reject(fromServiceError(error, callee));
        else resolve(response as Buffer);
      },
    );
    const hangUp = () => unary.cancel();
    if (options.signal?.aborted) hangUp();
    options.signal?.addEventListener('abort', hangUp, { once: true });
  });
}
