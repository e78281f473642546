import { randomUUID } from 'node:crypto';
import type { SecureContextOptions, Server, TLSSocket } from 'node:tls';
import type { Authenticator } from '@gigvault/access/permissions';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type Correlation, traceIdOf, withCorrelation } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { runOperation } from './operation.ts';
import { problemReply } from './problem.ts';
import type { HttpReply, HttpRequest, HttpRoute, Listener, ProtocolRoute } from './route.ts';
import { API_MOUNTS, serviceOf } from './route-table.ts';

/** A route and the service that brings it. */
export interface MountedRoute {
  readonly service: string;
  readonly route: HttpRoute;
  /** Verifies the tokens of an operation. */
  readonly authenticator: Authenticator;
}

/** What a listener needs. */
export interface HttpServerOptions {
  /** Whose routes to mount: one, or both behind the edge proxy. */
  readonly listeners: readonly Listener[];
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Absent only on the status listener (requirement X1). */
  readonly tls?: SecureContextOptions & {
    requestCert?: boolean;
    rejectUnauthorized?: boolean;
    allowPartialTrustChain?: boolean;
  };
  /** The only client certificate that may connect, by its `subjectaltname` (node:tls), as `URI:spiffe://…/service/edge`. */
  readonly onlyPeer?: string;
  /** As `https://localhost:8443`: what clients see, before any proxy. */
  readonly baseUrl: string;
  /** True behind the edge proxy: the client's address and scheme come from its headers. */
  readonly behindProxy: boolean;
  readonly routes: readonly MountedRoute[];
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What listens. */
export interface HttpServer {
  readonly port: number;
  /** New key and certificate for new connections. */
  replaceTls(tls: SecureContextOptions): void;
  /** Refuses new requests and lets those in flight end. */
  stop(): Promise<void>;
}

/** REST bodies, in octets. A certification request of 50,000 octets in PEM fits. */
const OPERATION_BODY_LIMIT = 100_000;

/** Starts one listener with its routes. Rejects with CONFLICT, naming the port, when it is in use. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const app = Fastify({
    ...(options.tls ? { https: { minVersion: 'TLSv1.3' as const, ...options.tls } } : {}),
    trustProxy: options.behindProxy,
    exposeHeadRoutes: false,
    logger: false,
    bodyLimit: OPERATION_BODY_LIMIT,
    requestTimeout: 30_000,
    connectionTimeout: 60_000,
    routerOptions: { maxParamLength: 4096, ignoreTrailingSlash: false },
    onProtoPoisoning: 'error',
    forceCloseConnections: 'idle',
  } as never) as unknown as FastifyInstance;
  acceptRawBodies(app);
  if (options.onlyPeer !== undefined) admitOnly(app, options.onlyPeer);
  const byPath = groupByPath(options);
  observe(app, options);
  for (const [path, mounted] of byPath) mount(app, path, mounted, options);
  app.setNotFoundHandler((request, reply) =>
    send(
      reply,
      problemReply(
        new GigvaultError('NOT_FOUND', `There is nothing at ${pathOf(request)}.`),
        pathOf(request),
        correlationOf(request).traceId,
      ),
    ),
  );
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, options));
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new GigvaultError(
        'CONFLICT',
        `Port ${options.port} (${options.listeners.join(' and ')} listener) is in use by another program.`,
        {
          details: { port: options.port },
        },
      );
    }
    throw error;
  }
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    replaceTls: (tls) => (app.server as unknown as Server).setSecureContext(tls),
    stop: () => app.close(),
  };
}

/** Ends connections of any other peer before a request is read: whoever connects here is believed about its clients. */
function admitOnly(app: FastifyInstance, peer: string): void {
  app.server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.getPeerCertificate().subjectaltname !== peer) socket.destroy();
  });
}

function acceptRawBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
}

/** Every concrete path of this listener with its methods; refuses a route that the route table does not give to its service. */
function groupByPath(options: HttpServerOptions): Map<string, MountedRoute[]> {
  const byPath = new Map<string, MountedRoute[]>();
  for (const mounted of options.routes) {
    const { route } = mounted;
    const paths =
      route.kind === 'operation' ? API_MOUNTS.map((mount) => mount + route.path) : [route.path];
    const listener = route.kind === 'operation' ? 'public' : route.listener;
    if (!options.listeners.includes(listener)) continue;
    for (const path of paths) {
      const owner = serviceOf(listener, route.method, path);
      if (owner !== mounted.service && mounted.service !== 'host') {
        throw new Error(
          `the route table gives ${route.method} ${path} to ${owner ?? 'nobody'}, not to ${mounted.service}`,
        );
      }
      byPath.set(path, [...(byPath.get(path) ?? []), mounted]);
    }
  }
  return byPath;
}

function mount(
  app: FastifyInstance,
  path: string,
  mounted: readonly MountedRoute[],
  options: HttpServerOptions,
): void {
  const methods = mounted.map((m) => m.route.method);
  for (const m of mounted) {
    const { route } = m;
    app.route({
      method: route.method,
      url: path,
      ...(route.kind === 'protocol' ? { bodyLimit: Math.max(1, route.bodyLimit) } : {}),
      config: { mounted: m },
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const decoded = decode(request, options);
        // Body parsing loses the async context, so it is entered here and not in the onRequest hook.
        const answer = await withCorrelation(correlationOf(request), () =>
          route.kind === 'operation'
            ? runOperation(route, decoded, m.authenticator)
            : route.handle(decoded as never),
        );
        return send(reply, answer);
      },
    } as never);
  }
  const others = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'].filter(
    (method) => !(methods as string[]).includes(method),
  );
  const first = mounted[0];
  app.route({
    method: others as never,
    url: path,
    config: { mounted: first } as never,
    handler: async () => {
      throw new GigvaultError('METHOD_NOT_ALLOWED', `Only ${methods.join(', ')} is allowed here.`, {
        details: { allow: methods.join(', ') },
      });
    },
  });
}

function observe(app: FastifyInstance, options: HttpServerOptions): void {
  const total = options.metrics.counter('http_requests_total', 'HTTP requests.', [
    'method',
    'route',
    'status',
  ] as const);
  const seconds = options.metrics.histogram(
    'http_request_duration_seconds',
    'Time to answer an HTTP request.',
    ['method', 'route'] as const,
  );
  app.addHook('onRequest', (request, _reply, done) => {
    const given = request.headers['x-request-id'];
    const requestId =
      typeof given === 'string' && /^[A-Za-z0-9-]{1,64}$/.test(given) ? given : randomUUID();
    const parent = request.headers['traceparent'];
    correlations.set(request, {
      requestId,
      traceId: traceIdOf(typeof parent === 'string' ? parent : undefined),
    });
    done();
  });
  app.addHook('onSend', (request, reply, payload, done) => {
    reply.header('x-request-id', correlationOf(request).requestId);
    reply.header('x-content-type-options', 'nosniff');
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    total.inc({ method: request.method, route, status: String(reply.statusCode) });
    seconds.observe({ method: request.method, route }, reply.elapsedTime / 1000);
    options.log.debug(
      {
        operation: `${request.method} ${route}`,
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime),
        'client.ip': request.ip,
        trace_id: correlationOf(request).traceId,
      },
      'request',
    );
    done();
  });
}

function decode(request: FastifyRequest, options: HttpServerOptions): HttpRequest {
  const hangUp = new AbortController();
  request.raw.once('close', () => {
    if (request.raw.destroyed && !request.raw.complete)
      hangUp.abort(new GigvaultError('UNAVAILABLE', 'The client went away.'));
  });
  return {
    method: request.method,
    url: options.baseUrl + request.url,
    params: request.params as Record<string, string>,
    query: request.query,
    body: (request.body as Buffer | undefined) ?? Buffer.alloc(0),
    headers: request.headers,
    clientIp: request.ip,
    ...correlationOf(request),
    signal: hangUp.signal,
  };
}

async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  options: HttpServerOptions,
): Promise<FastifyReply> {
  const ours = fromFastify(error);
  if (ours instanceof GigvaultError === false || ours.code === 'INTERNAL') {
    options.log.error(
      {
        operation: `${request.method} ${pathOf(request)}`,
        trace_id: correlationOf(request).traceId,
        error: ours instanceof GigvaultError ? (ours.cause ?? ours) : ours,
      },
      'request failed',
    );
  }
  const mounted = (request.routeOptions.config as { mounted?: MountedRoute }).mounted;
  const answer =
    mounted?.route.kind === 'protocol'
      ? await (mounted.route as ProtocolRoute).errorReply(ours, decode(request, options))
      : problemReply(ours, pathOf(request), correlationOf(request).traceId);
  if (ours instanceof GigvaultError && ours.details['allow'] !== undefined)
    reply.header('allow', String(ours.details['allow']));
  return send(reply, answer);
}

/** Fastify's own refusals in our words; everything else as it is. */
function fromFastify(error: unknown): unknown {
  const code = (error as { code?: string }).code;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new GigvaultError('PAYLOAD_TOO_LARGE', 'The request body is too large.');
  if (code?.startsWith('FST_ERR_CTP'))
    return new GigvaultError('INVALID_ARGUMENT', 'The request body cannot be read.', {
      cause: error,
    });
  const status = (error as { statusCode?: number }).statusCode;
  if (!(error instanceof GigvaultError) && status !== undefined && status >= 400 && status < 500) {
    return new GigvaultError('INVALID_ARGUMENT', 'The request cannot be understood.', {
      cause: error,
    });
  }
  return error;
}

function send(reply: FastifyReply, answer: HttpReply): FastifyReply {
  reply.code(answer.status);
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value);
  const { body } = answer;
  if (body === undefined) return reply.send();
  if (Buffer.isBuffer(body) || typeof body === 'string') return reply.send(body);
  if (!reply.hasHeader('content-type')) reply.header('content-type', 'application/json');
  return reply.send(JSON.stringify(body));
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/';
}

const correlations = new WeakMap<FastifyRequest, Correlation>();

function correlationOf(request: FastifyRequest): Correlation {
  return correlations.get(request) ?? { traceId: '', requestId: '' };
}
