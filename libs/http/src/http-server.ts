import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type Clock, systemClock } from '@gigvault/time/clock';
import Fastify, { type FastifyInstance } from 'fastify';
import { type Admission, admitting, originForm, type TurnAway } from './admission.ts';
import { type ApiAccess, createApiGate, DEFAULT_API_ACCESS } from './api-gate.ts';
import {
  type ClientCertificates,
  clientCertificateTls,
  clientFromEdge,
  clientReader,
} from './client-certificates.ts';
import { DirectRequest, directHandler, writeReply } from './direct.ts';
import { type ListenerTimeouts, openListener } from './listener.ts';
import { knowAllMethods } from './methods.ts';
import {
  errorReplyFor,
  isApi,
  type MountedRoute,
  mountRoutes,
  protocolErrorReply,
  type Routes,
} from './mounting.ts';
import { problemReply } from './problem.ts';
import { type RefusalContext, refuse } from './refusal.ts';
import { nothingAt, observe, pathOf } from './request.ts';
import type { HttpReply, Listener } from './route.ts';

/** What a listener needs. */
export interface HttpServerOptions extends Partial<ApiAccess> {
  /** Asks clients for certificates. Not behind the edge proxy, which says what it has seen. */
  readonly certificatesOfClients?: ClientCertificates | undefined;
  /** Whose routes to mount: one, or both behind the edge proxy. */
  readonly listeners: readonly Listener[];
  /** An address; `localhost` is both loopback addresses. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Absent only on the status listener. TLS 1.3, unless `minVersion` is 'TLSv1.2' (requirement X1). */
  readonly tls?: TlsOptions & { readonly allowPartialTrustChain?: boolean };
  /** The only client certificate that may connect, by its `subjectaltname` (node:tls), as `URI:spiffe://…/service/edge`. */
  readonly onlyPeer?: string;
  /** As `https://localhost:8443`: what clients see, before any proxy. */
  readonly baseUrl: string;
  /** True behind the edge proxy: the client's address comes from its headers. Only together with `onlyPeer`. */
  readonly behindProxy: boolean;
  /** For where the clients' own connections end. Absent: whatever comes is worked on. */
  readonly admission?: Admission;
  readonly routes: readonly MountedRoute[];
  readonly log: Log;
  readonly metrics: Metrics;
  /** Default: the machine's. */
  readonly clock?: Clock;
  /** Default: 10 s for a header, 30 s for a request, 60 s for silence. */
  readonly timeouts?: ListenerTimeouts;
}

/** What listens. */
export interface HttpServer {
  readonly port: number;
  /** New key and certificate for new connections. */
  replaceTls(tls: SecureContextOptions): void;
  /** Other networks or limits from the next request on; a new limit counts from nothing. */
  replaceAccess(access: ApiAccess): void;
  /** As a listener's; with an admission nothing is begun any more. @param limit milliseconds; default 30 s. */
  stop(limit?: number): Promise<void>;
}

/** REST bodies, in octets. A certification request of 50,000 octets in PEM fits. */
const OPERATION_BODY_LIMIT = 100_000;

/** Starts one listener with its routes. Rejects with CONFLICT, naming the port, when it is in use. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  if (options.behindProxy && options.onlyPeer === undefined)
    throw new Error('whoever is believed about client addresses must be named: set onlyPeer');
  const clock = options.clock ?? systemClock;
  const refusals: RefusalContext = {
    baseUrl: options.baseUrl,
    log: options.log,
    errorReplyOf: (request) => errorReplyFor(options, request),
  };
  const app = createApp(options, refusals);
  observe(app, options.metrics, options.log);
  const replaceAccess = guardApi(app, { ...DEFAULT_API_ACCESS, ...options }, clock);
  refuseCodedBodies(app);
  const taken = options.certificatesOfClients;
  mountRoutes(app, { ...options, ...readerOf(options, clock) });
  await app.ready();
  const direct = directHandler(options, options.metrics, options.log);
  const listener = await openListener(
    {
      ...options,
      ...(taken && { tls: { ...options.tls, ...clientCertificateTls(taken) } }),
      clock,
      name: `${options.listeners.join(' and ')} listener`,
    },
    admitting(options.admission, {
      handle(request, response) {
        if (!direct(request, response)) app.routing(request, response);
      },
      turnAway: turnAwayIn(options),
      bodyLimit: OPERATION_BODY_LIMIT,
    }),
  );
  return {
    port: listener.port,
    replaceTls: listener.replaceTls,
    replaceAccess,
    async stop(limit = 30_000) {
      await listener.stop(limit);
      await app.close();
    },
  };
}

/** Behind the edge its word counts, and nowhere else. */
function readerOf(
  { behindProxy, certificatesOfClients }: HttpServerOptions,
  clock: Clock,
): Pick<Routes, 'readClient'> {
  if (behindProxy) return { readClient: clientFromEdge };
  return certificatesOfClients ? { readClient: clientReader(certificatesOfClients, clock) } : {};
}

function createApp(options: Routes & { behindProxy: boolean }, refusals: RefusalContext) {
  const app: FastifyInstance = Fastify({
    // One hop, the edge: what a client says of its own address is not looked at.
    trustProxy: options.behindProxy ? (_address, hop) => hop === 0 : false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    logger: false,
    bodyLimit: OPERATION_BODY_LIMIT,
    routerOptions: { maxParamLength: 4096, ignoreTrailingSlash: false },
    rewriteUrl: ({ url = '/' }) => originForm(url),
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply, refusals),
  });
  knowAllMethods(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error, request, reply) => refuse(error, request, reply, refusals));
  app.setNotFoundHandler((request) => {
    throw nothingAt(pathOf(request));
  });
  return app;
}

function guardApi(
  app: FastifyInstance,
  access: ApiAccess,
  clock: Clock,
): HttpServer['replaceAccess'] {
  let gate = createApiGate(access, clock);
  app.addHook('onRequest', async (request, reply) => {
    if (isApi(request)) gate(request.ip, (headers) => void reply.headers(headers));
  });
  return (next) => {
    gate = createApiGate(next, clock);
  };
}

/** Answers in the words of the protocol that was asked for. */
function turnAwayIn(options: HttpServerOptions): TurnAway {
  return async (error, path, request, response) => {
    const asked = new DirectRequest(request, response, '', options.baseUrl);
    let reply: HttpReply | undefined;
    try {
      reply = await protocolErrorReply(options, asked.method, path)?.(error, asked as never);
    } catch (failed) {
      options.log.error({ operation: `${asked.method} ${path}`, error: failed }, 'request failed');
    }
    writeReply(response, reply ?? problemReply(error, path, asked.traceId));
  };
}

/** Nothing here is ever inflated: a small body cannot become a large one. */
function refuseCodedBodies(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const coding = request.headers['content-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'identity')
      throw new GigvaultError('UNSUPPORTED_MEDIA_TYPE', 'Send the body without content coding.');
  });
}
