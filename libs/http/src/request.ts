import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type Correlation, traceIdOf, withCorrelation } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { type OpenSpan, openSpan } from '@gigvault/telemetry/span';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { requestFigures } from './request-figures.ts';
import type { HttpReply, HttpRequest } from './route.ts';

/** What is known of a request from its header on. */
export interface RequestState {
  readonly correlation: Correlation;
  readonly span: OpenSpan;
}

const states = new WeakMap<FastifyRequest, RequestState>();

/** Of a request; begun at the first call. */
export function stateOf(request: FastifyRequest): RequestState {
  const known = states.get(request);
  if (known) return known;
  const traceparent = header(request, 'traceparent');
  const given = header(request, 'x-request-id');
  const span = openSpan(`${request.method} ${routeOf(request)}`, { kind: 'server', traceparent });
  const state: RequestState = {
    span,
    correlation: {
      traceId: span.traceId ?? traceIdOf(traceparent),
      requestId: given !== undefined && /^[A-Za-z0-9-]{1,64}$/.test(given) ? given : randomUUID(),
    },
  };
  states.set(request, state);
  return state;
}

/** Runs `run` with the request's correlation and span. Reading a body loses the async context, so handlers enter it anew. */
export function within<T>(request: FastifyRequest, run: () => T): T {
  const { correlation, span } = stateOf(request);
  return span.run(() => withCorrelation(correlation, run));
}

/** Counts, times and logs every request, and ends its span. */
export function observe(app: FastifyInstance, metrics: Metrics, log: Log): void {
  const count = requestFigures(metrics);
  app.addHook('onSend', (request, reply, payload, done) => {
    reply.header('x-request-id', stateOf(request).correlation.requestId);
    reply.header('x-content-type-options', 'nosniff');
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const route = routeOf(request);
    const status = reply.statusCode;
    const { traceId } = stateOf(request).correlation;
    count({ method, route, status, seconds: reply.elapsedTime / 1000, traceId });
    // Status requests are many and say little; what people and clients do is worth a line.
    const level = isStatusRoute(route) && status < 500 ? 'debug' : 'info';
    within(request, () =>
      log[level](
        {
          operation: `${method} ${route}`,
          status,
          outcome: status < 400 ? 'ok' : status < 500 ? 'refused' : 'failed',
          duration_ms: Math.round(reply.elapsedTime),
          'client.ip': request.ip,
        },
        'request',
      ),
    );
    stateOf(request).span.end(
      { 'http.request.method': method, 'http.route': route, 'http.response.status_code': status },
      status >= 500 ? { code: String(status) } : undefined,
    );
    done();
  });
}

/** OCSP, CRLs, issuer certificates and health probes. */
function isStatusRoute(route: string): boolean {
  return /^\/(ocsp|crl|ca|live|ready|health|version)(\/|$)/.test(route);
}

/** The route's template; `none` for a path without a route. */
export function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none';
}

/** The path, as it was sent. */
export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/';
}

/** The refusal of a path without a route. Empty segments are not skipped: a proxy in front may judge `//admin` by other rules. */
export function nothingAt(path: string): GigvaultError {
  const hint = path.includes('//') ? ' A path has no empty segments: write one slash.' : '';
  return new GigvaultError('NOT_FOUND', `There is nothing at ${path.slice(0, 200)}.${hint}`);
}

/** What a handler gets. */
export function decode(request: FastifyRequest, reply: FastifyReply, baseUrl: string): HttpRequest {
  const hangUp = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished)
      hangUp.abort(new GigvaultError('UNAVAILABLE', 'The client went away.'));
  });
  const { correlation } = stateOf(request);
  return {
    method: request.method,
    url: baseUrl + request.url,
    params: request.params as Record<string, string>,
    query: request.query,
    body: (request.body as Buffer | undefined) ?? Buffer.alloc(0),
    headers: request.headers,
    clientIp: request.ip,
    requestId: correlation.requestId,
    traceId: correlation.traceId,
    signal: hangUp.signal,
  };
}

/** Sends an answer; an object as JSON. */
export function send(reply: FastifyReply, answer: HttpReply): FastifyReply {
  reply.code(answer.status);
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value);
  const { body } = answer;
  if (body === undefined) return reply.send();
  if (Buffer.isBuffer(body)) return sendOctets(reply, body);
  if (body instanceof Readable) return reply.send(body);
  if (!reply.hasHeader('content-type'))
    reply.type(typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json');
  // As octets: Fastify adds a charset to the type of a text, which JSON's types do not have.
  return sendOctets(reply, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}

/** Octets that are handed to an encrypted connection at a time. */
const PIECE = 128 * 1024;

/** A large body is encrypted as it is read: TLS encrypts at once what it is handed, and each slow reader would hold all of it (fault T71). */
function sendOctets(reply: FastifyReply, body: Buffer): FastifyReply {
  const isEncrypted = reply.raw.socket instanceof TLSSocket;
  if (!isEncrypted || body.length <= PIECE) return reply.send(body);
  reply.header('content-length', body.length);
  return reply.send(Readable.from(piecesOf(body), { objectMode: false, highWaterMark: PIECE }));
}

function* piecesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE);
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : undefined;
}
