import { get } from 'node:https';
import type { SecureContextOptions, Server } from 'node:tls';
import replyFrom from '@fastify/reply-from';
import { publicErrorCode } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { problemReply } from '@gigvault/http/problem';
import type { Listener } from '@gigvault/http/route';
import { serviceOf } from '@gigvault/http/route-table';
import { clientTls, type MtlsIdentity } from '@gigvault/rpc/mtls-identity';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { traceIdOf } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { mergeOpenApi } from './merge-openapi.ts';

/** One listener of the edge. */
export interface EdgeListenerOptions {
  readonly listener: Listener;
  readonly host: string;
  readonly port: number;
  /** Absent on the status listener. */
  readonly tls?: SecureContextOptions;
  readonly identity: MtlsIdentity;
  /** `127.0.0.1:port` of each service's HTTPS listener. */
  readonly upstreams: Readonly<Record<ServiceName, string>>;
  readonly log: Log;
}

/** A running listener. */
export interface EdgeListener {
  readonly port: number;
  replaceTls(tls: SecureContextOptions): void;
  stop(): Promise<void>;
}

/** Largest body that is passed on, in octets; each service has tighter limits of its own. */
const BODY_LIMIT = 1_000_000;

/** Passes requests on to the services by the route table, over mTLS. It decides nothing and keeps nothing. */
export async function startEdgeListener(options: EdgeListenerOptions): Promise<EdgeListener> {
  const app = Fastify({
    ...(options.tls ? { https: { minVersion: 'TLSv1.3', ...options.tls } } : {}),
    logger: false,
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 4096 },
  } as never) as unknown as FastifyInstance;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  await app.register(replyFrom, {
    undici: {
      connections: 32,
      pipelining: 1,
      headersTimeout: 35_000,
      bodyTimeout: 35_000,
      connect: upstreamTls(options.identity),
    },
    disableRequestLogging: true,
  } as never);
  if (options.listener === 'public') addOwnRoutes(app, options);
  app.all('/*', (request, reply) => forward(request, reply, options));
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    replaceTls: (tls) => (app.server as unknown as Server).setSecureContext(tls),
    stop: () => app.close(),
  };
}

/** The edge's client certificate; a getter, so that a renewed identity is used by the next connection. */
function upstreamTls(identity: MtlsIdentity): object {
  // Upstreams are addressed by loopback address: the chain is verified, the name in it is a SPIFFE ID.
  return {
    ...clientTls(identity),
    servername: `upstream.${identity.trustDomain}`,
    checkServerIdentity: () => undefined,
  };
}

function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  options: EdgeListenerOptions,
): FastifyReply | undefined {
  const path = request.url.split('?', 1)[0] ?? '/';
  const service = serviceOf(options.listener, request.method, path);
  if (service === undefined)
    return problem(reply, new GigvaultError('NOT_FOUND', `There is nothing at ${path}.`), path);
  const publicHost = request.headers.host ?? '';
  reply.from(`https://${options.upstreams[service]}${request.url}`, {
    rewriteRequestHeaders: (_request, headers) => ({
      // What the client claims about itself is replaced, never extended.
      ...Object.fromEntries(
        Object.entries(headers).filter(
          ([name]) => !name.startsWith('x-forwarded-') && name !== 'forwarded',
        ),
      ),
      host: publicHost,
      'x-forwarded-for': request.ip,
      'x-forwarded-proto': options.tls ? 'https' : 'http',
      'x-forwarded-host': publicHost,
    }),
    onError: (failed, { error }) => {
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
  return undefined;
}

function addOwnRoutes(app: FastifyInstance, options: EdgeListenerOptions): void {
  app.get('/live', async () => ({ status: 'ok' }));
  for (const path of ['/ready', '/health'] as const) {
    app.get(path, async (_request, reply) => {
      const answers = await Promise.all(
        Object.values(options.upstreams).map((upstream) => isReady(upstream, options.identity)),
      );
      const ok = answers.every(Boolean);
      return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable' });
    });
  }
  app.get(
    '/version',
    (_request, reply) => void reply.from(`https://${options.upstreams.ca}/version`),
  );
  for (const path of ['/docs', '/docs/*'])
    app.get(
      path,
      (request, reply) => void reply.from(`https://${options.upstreams.ca}${request.url}`),
    );
  app.get('/openapi.json', async () => {
    const parts = await Promise.all(
      Object.values(options.upstreams).map((upstream) =>
        fetchJson(upstream, '/openapi.json', options.identity),
      ),
    );
    return mergeOpenApi(parts);
  });
}

function problem(reply: FastifyReply, error: GigvaultError, path: string): FastifyReply {
  if (path.startsWith('/acme')) {
    return reply
      .code(error.row.http)
      .headers({
        'content-type': 'application/problem+json',
        ...(error.retryAfter ? { 'retry-after': String(error.retryAfter) } : {}),
      })
      .send(
        JSON.stringify({
          type: `urn:ietf:params:acme:error:${error.row.acme}`,
          detail: `${error.message} (${publicErrorCode(error.code)})`,
          status: error.row.http,
        }),
      );
  }
  const answer = problemReply(error, path, traceIdOf(undefined));
  return reply
    .code(answer.status)
    .headers(answer.headers ?? {})
    .send(answer.body);
}

async function isReady(upstream: string, identity: MtlsIdentity): Promise<boolean> {
  try {
    await fetchJson(upstream, '/ready', identity);
    return true;
  } catch {
    // Not reachable, or reachable and not ready: the same answer for whoever asks the edge.
    return false;
  }
}

function fetchJson(
  upstream: string,
  path: string,
  identity: MtlsIdentity,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const [hostname, port] = upstream.split(':');
    const request = get(
      { hostname, port, path, timeout: 2_000, ...(upstreamTls(identity) as object) },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () => {
          if (response.statusCode === 200)
            resolve(JSON.parse(Buffer.concat(parts).toString()) as Record<string, unknown>);
          else reject(new Error(`${upstream}${path} answered ${response.statusCode}`));
        });
      },
    );
    request.on('timeout', () =>
      request.destroy(new Error(`${upstream}${path} did not answer in time`)),
    );
    request.on('error', reject);
  });
}
