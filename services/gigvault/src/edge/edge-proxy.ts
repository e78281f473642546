import { lookup } from 'node:dns';
import { get } from 'node:https';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import type { PeerCertificate, SecureContextOptions } from 'node:tls';
import replyFrom from '@fastify/reply-from';
import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type Admission,
  admitting,
  createBound,
  MOST_IN_HAND,
  workFor,
} from '@gigvault/http/admission';
import {
  type ClientCertificates,
  clientCertificateTls,
  clientReader,
} from '@gigvault/http/client-certificates';
import { writeReply } from '@gigvault/http/direct';
import { openListener } from '@gigvault/http/listener';
import { knowAllMethods } from '@gigvault/http/methods';
import { problemReply } from '@gigvault/http/problem';
import { heardInOurWords } from '@gigvault/http/refusal';
import { nothingAt, pathOf } from '@gigvault/http/request';
import type { HttpReply, Listener } from '@gigvault/http/route';
import { LISTENER_HEADER, serviceOf } from '@gigvault/http/route-table';
import { clientTls, type MtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { SERVICE_NAMES, type ServiceName, spiffeId } from '@gigvault/rpc/service-name';
import { traceIdOf } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteHandlerMethod,
} from 'fastify';
import { Agent, buildConnector } from 'undici';
import { type Forwarding, forwardedHeaders, withoutHops } from './forwarded-headers.ts';
import { rememberOpenApi } from './merge-openapi.ts';
import type { NonceStock } from './nonce-stock.ts';

/** One listener of the edge. */
export interface EdgeListenerOptions {
  readonly listener: Listener;
  readonly host: string;
  readonly port: number;
  /** Absent on the status listener. */
  readonly tls?: SecureContextOptions;
  /** Asks clients for certificates, and tells the services what they prove. */
  readonly certificatesOfClients?: ClientCertificates | undefined;
  readonly identity: MtlsIdentity;
  /** `127.0.0.1:port` of each service's HTTPS listener. */
  readonly upstreams: Readonly<Record<ServiceName, string>>;
  readonly log: Log;
  /** Absent on the status listener, where nothing is begun: so many for each service are in hand, and no more. */
  readonly turningAway?: { readonly admission: Admission; readonly nonces: NonceStock };
}

/** A running listener. */
export interface EdgeListener {
  readonly port: number;
  replaceTls(tls: SecureContextOptions): void;
  /** As a listener's; nothing is begun any more. @param limit milliseconds */
  stop(limit: number): Promise<void>;
}

/** What one listener takes; each has connections of its own, so that nobody uses up another's. */
const LIMITS: Readonly<Record<Listener, { readonly body: number; readonly inHand: number }>> = {
  // No service takes as much.
  public: { body: 128_000, inHand: MOST_IN_HAND },
  // OCSP's requests. Each client that does not read a CRL holds a TLS connection and the CRL's octets, here and in `crl`; answers that are
  // read are in hand for milliseconds, so this is many thousand a second, or as many that download over slow lines.
  status: { body: 10_000, inHand: 500 },
};

/** Passes requests on to the services by the route table, over mTLS. It keeps nothing, and decides only what is too much. */
export async function startEdgeListener(options: EdgeListenerOptions): Promise<EdgeListener> {
  const { body: bodyLimit, inHand } = LIMITS[options.listener];
  const app = Fastify({
    logger: false,
    bodyLimit,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 4096 },
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply),
  }) as unknown as FastifyInstance;
  knowAllMethods(app);
  app.setErrorHandler(refuse);
  app.removeAllContentTypeParsers();
  // Whole before it is passed on: no client's slowness holds a connection to a service (fault T71), and each body goes with its length (T68).
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    request.raw.headers['content-length'] = String(body.length);
    done(null, Readable.from([body]));
  });
  await app.register(replyFrom, {
    undici: upstreamAgent(options),
    disableRequestLogging: true,
    // It would remember whole URLs, and with them what clients have put into a query by mistake (fault T66).
    disableCache: true,
  });
  app.addHook('onRequest', (request, reply, done) => {
    if (isCanonical(request.url)) done();
    else
      problem(
        reply,
        new GigvaultError('INVALID_ARGUMENT', 'The path is not in its normal form.'),
        pathOf(request),
      );
  });
  const taken = options.certificatesOfClients;
  const forwarding = { ...options, readClient: taken && clientReader(taken, systemClock) };
  if (options.listener === 'public') addOwnRoutes(app, forwarding);
  app.all('/*', (request, reply) => forward(request, reply, forwarding));
  await app.ready();
  const admission =
    options.turningAway?.admission ??
    createBound(inHand, (method, path) => serviceOf(options.listener, method, path));
  const listener = await openListener(
    {
      ...options,
      ...(taken && { tls: { ...options.tls, ...clientCertificateTls(taken) } }),
      name: `${options.listener} listener`,
      clock: systemClock,
    },
    admitting(admission, {
      handle: (request, response) => app.routing(request, response),
      turnAway(error, path, _request, response) {
        const reply = problemOf(error, path);
        const nonce = path.startsWith('/acme/') ? options.turningAway?.nonces.take() : undefined;
        writeReply(
          response,
          nonce ? { ...reply, headers: { ...reply.headers, 'replay-nonce': nonce } } : reply,
        );
      },
      bodyLimit,
    }),
  );
  return {
    port: listener.port,
    replaceTls: listener.replaceTls,
    async stop(limit) {
      await listener.stop(limit);
      await app.close();
    },
  };
}

/** What the edge itself cannot take, in the same words as everybody else. */
async function refuse(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const ours = await heardInOurWords(error, request);
  return problem(reply, asGigvaultError(ours), pathOf(request));
}

/** Connections to the services; each new one shows the identity of its time, so that a renewal needs no restart. */
function upstreamAgent(options: EdgeListenerOptions): Agent {
  let last = connectorOf(options);
  return new Agent({
    // As many as there may be requests in hand: of any smaller number, as many clients that do not read their answers would hold all (fault
    // T71), and challenges and finalizes hold theirs for seconds.
    connections: LIMITS[options.listener].inHand,
    pipelining: 1,
    headersTimeout: 35_000,
    bodyTimeout: 35_000,
    connect(target, done) {
      if (last.material !== options.identity.current()) last = connectorOf(options);
      last.connector(target, done);
    },
  });
}

/** One for all connections with an identity: it remembers the TLS sessions, so that only the first of them costs signatures. */
function connectorOf(options: EdgeListenerOptions) {
  return {
    material: options.identity.current(),
    connector: buildConnector(upstreamTls(options)),
  };
}

/** The origin of a service: its name in the trust domain, so that TLS asks for exactly that peer. */
function originOf(service: ServiceName, options: EdgeListenerOptions): string {
  const port = options.upstreams[service].split(':').at(-1);
  return `https://${service}.${options.identity.trustDomain}:${port}`;
}

/** TLS towards the services: the edge's own certificate, and the callee must be the service that was asked for. */
function upstreamTls({ identity, upstreams }: Pick<EdgeListenerOptions, 'identity' | 'upstreams'>) {
  const { trustDomain } = identity;
  return {
    ...clientTls(identity),
    // Origins are names of the trust domain; where each service listens is configuration.
    lookup: ((hostname, lookupOptions, done) => {
      const service = hostname.split('.', 1)[0] as ServiceName;
      lookup(upstreams[service].split(':', 1)[0] as string, lookupOptions, done as never);
    }) as LookupFunction,
    checkServerIdentity: (hostname: string, certificate: PeerCertificate) => {
      const expected = `URI:${spiffeId(trustDomain, hostname.split('.', 1)[0] as ServiceName)}`;
      return certificate.subjectaltname === expected
        ? undefined
        : new Error(
            `expected ${expected}, the upstream is ${certificate.subjectaltname ?? 'nameless'}`,
          );
    },
  };
}

/**
 * Refuses targets that somebody further on could read as another path: backslashes, dot segments, spaces, whatever the
 * URL standard rewrites. The route table must decide on the path that the service will see.
 */
function isCanonical(target: string): boolean {
  const path = target.split('?', 1)[0] ?? '';
  try {
    return path.startsWith('/') && new URL(target, 'https://edge.invalid').pathname === path;
  } catch {
    return false;
  }
}

function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  options: Forwarding,
): FastifyReply | undefined {
  const path = pathOf(request);
  const service = serviceOf(options.listener, request.method, path);
  if (service === undefined) return problem(reply, nothingAt(path), path);
  pass(request, reply, service, path, options);
  return undefined;
}

function pass(
  request: FastifyRequest,
  reply: FastifyReply,
  service: ServiceName,
  path: string,
  options: Forwarding,
): void {
  const { promise: answered, resolve: end } = Promise.withResolvers<void>();
  reply.from(`${originOf(service, options)}${request.url}`, {
    rewriteRequestHeaders: (_request, headers) => forwardedHeaders(request, headers, options),
    rewriteHeaders: (headers) => {
      end();
      return withoutHops(headers);
    },
    onError: (failed, { error }) => {
      end();
      options.log.warn(
        { error, operation: `${request.method} ${path}`, upstream: service },
        'upstream cannot be reached',
      );
      problem(
        failed as unknown as FastifyReply,
        new GigvaultError('UNAVAILABLE', `${service} cannot be reached now.`, { cause: error }),
        path,
      );
    },
  });
  void workFor(request.raw, answered);
}

function addOwnRoutes(app: FastifyInstance, options: Forwarding): void {
  readOnly(app, '/live', async () => ({ status: 'ok' }));
  for (const path of ['/ready', '/health'] as const) {
    readOnly(app, path, async (_request, reply) => {
      const answers = await Promise.all(
        SERVICE_NAMES.map((service) => isWell(path, service, options)),
      );
      const ok = answers.every(Boolean);
      return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable' });
    });
  }
  for (const path of ['/version', '/docs', '/docs/*'])
    readOnly(app, path, (request, reply) => pass(request, reply, 'ca', request.url, options));
  const document = rememberOpenApi(
    () => Promise.all(SERVICE_NAMES.map((service) => fetchJson(service, '/openapi.json', options))),
    systemClock,
  );
  for (const path of ['/openapi.json', '/openapi.yaml'] as const) {
    readOnly(app, path, async (_request, reply) => {
      const { headers, body } = (await document())[path];
      return reply.headers(headers ?? {}).send(body);
    });
  }
}

/** What the edge has of its own can be read, and nothing else. */
function readOnly(app: FastifyInstance, url: string, handler: RouteHandlerMethod): void {
  const allowed = ['GET', 'HEAD'];
  app.route({
    method: allowed,
    url,
    handler(request, reply) {
      return workFor(request.raw, handler.call(this, request, reply));
    },
  });
  app.route({
    method: app.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    handler: (request, reply) =>
      problem(
        reply.header('allow', allowed.join(', ')),
        new GigvaultError('METHOD_NOT_ALLOWED', 'Only GET and HEAD are allowed here.'),
        pathOf(request),
      ),
  });
}

function problemOf(error: GigvaultError, path: string): HttpReply {
  if (!path.startsWith('/acme')) return problemReply(error, path, traceIdOf(undefined));
  return {
    status: error.row.http,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(error.retryAfter ? { 'retry-after': String(error.retryAfter) } : {}),
    },
    body: JSON.stringify({
      type: `urn:ietf:params:acme:error:${error.row.acme}`,
      detail: `${error.message} (${publicErrorCode(error.code)})`,
      status: error.row.http,
    }),
  };
}

function problem(reply: FastifyReply, error: GigvaultError, path: string): FastifyReply {
  const answer = problemOf(error, path);
  return (
    reply
      .code(answer.status)
      .headers(answer.headers ?? {})
      // As octets: Fastify adds a charset to the type of a text, which JSON's types do not have.
      .send(Buffer.from(String(answer.body)))
  );
}

async function isWell(
  path: '/ready' | '/health',
  service: ServiceName,
  options: EdgeListenerOptions,
): Promise<boolean> {
  try {
    await fetchJson(service, path, options);
    return true;
  } catch {
    // Not reachable, or reachable and not well: the same answer for whoever asks the edge.
    return false;
  }
}

function fetchJson(
  service: ServiceName,
  path: string,
  options: EdgeListenerOptions,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const headers = { [LISTENER_HEADER]: 'public' };
    const request = get(
      `${originOf(service, options)}${path}`,
      { ...upstreamTls(options), headers, timeout: 2_000 },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => {
          if (response.statusCode === 200)
            resolve(JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>);
          else reject(new Error(`${service}${path} answered ${response.statusCode}`));
        });
      },
    );
    request.on('timeout', () =>
      request.destroy(new Error(`${service}${path} did not answer in time`)),
    );
    request.on('error', reject);
  });
}
