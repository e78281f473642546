import type { SecureContextOptions } from 'node:tls';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { type ApiAccess, createApiGate } from '@gigvault/http/api-gate';
import {
  type ClientCertificates,
  encodeClient,
  verifiedClientReader,
} from '@gigvault/http/client-certificates';
import type { KeyApiService } from '@gigvault/proto/keymgr/v1/key_api';
import type { Client } from '@gigvault/rpc/call';
import { contractsOfPeople, KEYSTORE, methodsOf } from '@gigvault/rpc/contract-descriptors';
import { addReflection } from '@gigvault/rpc/reflection';
import { TlsCredentials } from '@gigvault/rpc/tls-credentials';
import { withCorrelation } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import {
  Server,
  type ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import { addressOf, callAdmission, correlationOf, LONGEST_CALL, textOf } from './call-admission.ts';
import { toRichError } from './rich-status.ts';

/** Where people's gRPC listens, and who answers. */
export interface KeyApiListenerOptions {
  /** An address; `localhost` is both loopback addresses. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** As the public listener's. */
  readonly tls: SecureContextOptions;
  readonly access: ApiAccess;
  /** Where they are required, nobody connects without one (P7). Optional ones are not asked for: grpc-js says of no connection whether its certificate verifies. */
  readonly certificatesOfClients?: ClientCertificates | undefined;
  readonly keyApi: Client<KeyApiService>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What listens. */
export interface KeyApiListener {
  readonly port: number;
  /** New key and certificate for new connections. */
  replaceTls(tls: SecureContextOptions): void;
  /** As a public listener's. */
  replaceAccess(access: ApiAccess): void;
  /** Lets calls in flight end, for at most `limit` milliseconds. */
  stop(limit: number): Promise<void>;
}

/** Octets of a request at most: 65,536 of a ciphertext's plaintext, and what stands around it. */
const LARGEST_REQUEST = 128 * 1024;
const STREAMS_OF_A_CONNECTION = 100;
const IDLE = 5 * 60_000;
/** Milliseconds after which a connection is ended, so that streams whose clients do not end them do not pile up. */
const OLDEST_CONNECTION = 60 * 60_000;

/** What a call is answered with. */
type Call = ServerUnaryCall<Buffer, Buffer>;

/**
 * keychain.v1.KeystoreService over TLS 1.3, for people: with `grpc.health.v1.Health` and reflection, all behind the same gate as the REST API. It reads no message;
 * keymgr does. Rejects with CONFLICT, naming the port, when it is in use.
 */
export async function startKeyApiListener(options: KeyApiListenerOptions): Promise<KeyApiListener> {
  let gate = createApiGate(options.access, options.clock);
  const server = new Server({
    'grpc.max_receive_message_length': LARGEST_REQUEST,
    'grpc.max_concurrent_streams': STREAMS_OF_A_CONNECTION,
    'grpc.max_connection_idle_ms': IDLE,
    'grpc.max_connection_age_ms': OLDEST_CONNECTION,
    'grpc.max_connection_age_grace_ms': LONGEST_CALL,
    interceptors: [
      callAdmission({ ...options, gate: (address) => gate(address, () => undefined) }),
    ],
  });
  const health = new HealthImplementation({ '': 'SERVING', [KEYSTORE]: 'SERVING' });
  health.addToServer(server);
  addReflection(server, contractsOfPeople);
  const answering = answerer(options);
  const definition = octetsOnly();
  const implementation = Object.fromEntries(
    Object.keys(definition).map((method) => [
      method,
      (call: Call, done: sendUnaryData<Buffer>) => void answering(method, call, done),
    ]),
  );
  server.addService(definition, implementation as never);
  const credentials = new TlsCredentials(options.tls, requiredOf(options)?.authorities);
  const port = await bind(server, options, credentials);
  return {
    port,
    replaceTls: (tls) => credentials.replace(tls),
    replaceAccess(access) {
      gate = createApiGate(access, options.clock);
    },
    async stop(limit) {
      for (const service of ['', KEYSTORE]) health.setStatus(service, 'NOT_SERVING');
      const ended = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      // What is late is cut off, and then the server has ended.
      await within(options.clock, limit, ended, 'calls are late').catch(() =>
        server.forceShutdown(),
      );
      await ended;
    },
  };
}

/** Hands on. Never rejects: what goes wrong is the answer. */
function answerer(
  options: KeyApiListenerOptions,
): (method: string, call: Call, done: sendUnaryData<Buffer>) => Promise<void> {
  const { keyApi, clock, log } = options;
  const required = requiredOf(options);
  const readClient = required && verifiedClientReader(required, clock);

  async function answer(method: string, call: Call): Promise<Buffer> {
    const { metadata } = call;
    const { signal, deadline, lift } = limitsOf(call, clock);
    try {
      const asked = {
        method,
        request: call.request,
        authorization: textOf(metadata, 'authorization') ?? '',
        apiKey: textOf(metadata, 'x-api-key') ?? '',
        clientIp: addressOf(call.getPeer()),
        client: readClient ? encodeClient(readClient(certificateOf(call))) : '',
      };
      return (await keyApi.call(asked, { signal, deadline })).response;
    } finally {
      lift();
    }
  }

  return (method, call, done) =>
    withCorrelation(correlationOf(call.metadata), async () => {
      try {
        done(null, await answer(method, call));
      } catch (error) {
        const failure = asGigvaultError(error);
        if (failure.code === 'INTERNAL')
          log.error({ operation: `grpc ${method}`, error }, 'call failed');
        done(toRichError(failure));
      }
    });
}

/** When the client hangs up, and the milliseconds that it waits. @returns `lift` for when there is an answer: grpc-js says `cancelled` of each call that ends */
function limitsOf(
  call: Call,
  clock: Clock,
): { readonly signal: AbortSignal; readonly deadline: number; lift(): void } {
  const hangUp = new AbortController();
  const onCancelled = () => hangUp.abort(new GigvaultError('UNAVAILABLE', 'The client went away.'));
  call.once('cancelled', onCancelled);
  const until = call.getDeadline();
  const wait = (until instanceof Date ? until.getTime() : until) - clock.now();
  return {
    signal: hangUp.signal,
    deadline: Math.max(1, Math.min(wait, LONGEST_CALL)),
    lift: () => call.off('cancelled', onCancelled),
  };
}

function requiredOf({
  certificatesOfClients: taken,
}: KeyApiListenerOptions): ClientCertificates | undefined {
  return taken?.mode === 'required-and-matching' ? taken : undefined;
}

/** DER. */
function certificateOf(call: Call): Buffer | undefined {
  return call.getAuthContext().sslPeerCertificate?.raw;
}

/** The contract, with messages as their octets. */
function octetsOnly(): ServiceDefinition {
  const same = (octets: Buffer) => octets;
  const methods = Object.entries(methodsOf({ fullName: KEYSTORE }));
  return Object.fromEntries(
    methods.map(([name, method]) => [
      name,
      { ...method, requestDeserialize: same, responseSerialize: same },
    ]),
  ) as unknown as ServiceDefinition;
}

function bind(
  server: Server,
  { host, port }: KeyApiListenerOptions,
  credentials: ServerCredentials,
): Promise<number> {
  const address = host.includes(':') ? `[${host}]` : host;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${address}:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else if (!error.message.includes('EADDRINUSE')) reject(error);
      else {
        const message = `Port ${port} (people's gRPC listener) is in use by another program.`;
        reject(new GigvaultError('CONFLICT', message, { details: { port }, cause: error }));
      }
    });
  });
}

/** The listener where the configuration has one. */
export async function startConfiguredKeyApi(
  address: Pick<KeyApiListenerOptions, 'host' | 'port'> | undefined,
  options: Omit<KeyApiListenerOptions, 'host' | 'port' | 'clock'>,
): Promise<KeyApiListener | undefined> {
  return address && startKeyApiListener({ ...address, ...options, clock: systemClock });
}
