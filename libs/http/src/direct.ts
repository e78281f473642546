import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { traceIdOf } from '@gigvault/telemetry/correlation';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { isTracing } from '@gigvault/telemetry/tracing';
import { workFor } from './admission.ts';
import type { Routes } from './mounting.ts';
import { type AnsweredRequest, requestFigures } from './request-figures.ts';
import type { HttpReply, HttpRequest, ProtocolRoute } from './route.ts';
import { LISTENER_HEADER } from './route-table.ts';

/** Answers a request itself and returns true, or leaves it untouched to the framework. */
export type DirectHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

interface DirectRoute {
  readonly route: ProtocolRoute;
  /** The path, or with a `*` at its end what stands before that. */
  readonly path: string;
  readonly isPrefix: boolean;
}

/** Anything else than a body of known length, and whoever wants to be followed, is the framework's. */
const NOT_PLAIN = [
  'transfer-encoding',
  'content-encoding',
  'expect',
  'upgrade',
  'traceparent',
  'x-request-id',
] as const;

/**
 * Serves the routes marked `direct` without the framework around them, which costs several times what their answers cost. Only plain
 * requests: the path as it stands in the route, a body of known length within the limit. Whatever is unusual, refused or traced goes
 * through the framework, to the same `handle`.
 */
export function directHandler(routes: Routes, metrics: Metrics, log: Log): DirectHandler {
  const direct = routes.routes.flatMap(({ route }) =>
    route.kind === 'protocol' && route.direct && routes.listeners.includes(route.listener)
      ? [toDirect(route)]
      : [],
  );
  if (direct.length === 0) return () => false;
  const count = requestFigures(metrics);
  return (request, response) => {
    const { method, url = '' } = request;
    const found = direct.find(
      (one) =>
        one.route.method === method && (one.isPrefix ? url.startsWith(one.path) : url === one.path),
    );
    if (!found || !isPlain(request, found.route, routes.behindProxy)) return false;
    const wildcard = found.isPrefix ? decoded(url.slice(found.path.length)) : '';
    if (wildcard === undefined) return false;
    const asked = new DirectRequest(request, response, wildcard, routes.baseUrl);
    serve(found.route, asked, count).catch((error: unknown) => {
      // Not even the protocol's own refusal could be written: nobody is left waiting.
      log.error({ error, operation: found.route.path }, 'a request was not answered');
      response.destroy();
    });
    return true;
  };
}

function toDirect(route: ProtocolRoute): DirectRoute {
  const isPrefix = route.path.endsWith('/*');
  return { route, isPrefix, path: isPrefix ? route.path.slice(0, -1) : route.path };
}

function isPlain(
  { headers }: IncomingMessage,
  route: ProtocolRoute,
  behindProxy: boolean,
): boolean {
  if (isTracing()) return false;
  for (const name of NOT_PLAIN) if (headers[name] !== undefined) return false;
  if (behindProxy && headers[LISTENER_HEADER] !== route.listener) return false;
  const length = headers['content-length'];
  return route.method === 'POST'
    ? length !== undefined && Number(length) <= route.bodyLimit
    : length === undefined;
}

/** As the framework decodes it; undefined for what it refuses, and for a query. */
function decoded(path: string): string | undefined {
  if (path.includes('?')) return undefined;
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

async function serve(
  route: ProtocolRoute,
  request: DirectRequest,
  count: (answered: AnsweredRequest) => void,
): Promise<void> {
  const since = performance.now();
  if (route.method === 'POST') {
    const body = await bodyOf(request.incoming);
    // The client went away.
    if (body === undefined) return;
    request.body = body;
  }
  let reply: HttpReply;
  try {
    const made = workFor(request.incoming, route.handle(request as never));
    reply = made instanceof Promise ? await made : made;
  } catch (error) {
    reply = await route.errorReply(error, request as never);
  }
  writeReply(request.response, reply);
  const seconds = (performance.now() - since) / 1000;
  count({ method: route.method, route: route.path, status: reply.status, seconds, traceId: '' });
}

function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.once('end', () => resolve(parts.length === 1 ? parts[0] : Buffer.concat(parts)));
    request.once('error', () => resolve(undefined));
  });
}

/** Sends an answer without the framework. A body is octets or text. */
export function writeReply(
  response: ServerResponse,
  { status, headers = {}, body }: HttpReply,
): void {
  const content = Buffer.isBuffer(body) ? body : Buffer.from((body as string | undefined) ?? '');
  const lines: (string | string[])[] = ['x-content-type-options', 'nosniff'];
  for (const name in headers) lines.push(name, headers[name]!);
  if (status !== 304) lines.push('content-length', String(content.length));
  response.writeHead(status, lines as string[]);
  // As text of one octet a character it goes out with its header in one piece; octets would be a piece of their own.
  response.end(content.toString('latin1'), 'latin1');
}

/** What a handler gets, without the framework; made when it is asked for, since hardly anybody does. */
export class DirectRequest implements HttpRequest<Record<string, string>, unknown, Buffer> {
  readonly query = {};
  body: Buffer = NOTHING;
  #signal: AbortSignal | undefined;
  #requestId: string | undefined;
  #traceId: string | undefined;

  constructor(
    readonly incoming: IncomingMessage,
    readonly response: ServerResponse,
    private readonly wildcard: string,
    private readonly baseUrl: string,
  ) {}

  get method(): string {
    return this.incoming.method ?? '';
  }

  get url(): string {
    return this.baseUrl + this.incoming.url;
  }

  get params(): Record<string, string> {
    return { '*': this.wildcard };
  }

  get headers(): HttpRequest['headers'] {
    return this.incoming.headers;
  }

  get clientIp(): string {
    return this.incoming.socket.remoteAddress ?? '';
  }

  get requestId(): string {
    this.#requestId ??= randomUUID();
    return this.#requestId;
  }

  get traceId(): string {
    this.#traceId ??= traceIdOf(undefined);
    return this.#traceId;
  }

  get signal(): AbortSignal {
    this.#signal ??= hangUpOf(this.response);
    return this.#signal;
  }
}

const NOTHING = Buffer.alloc(0);

function hangUpOf(response: ServerResponse): AbortSignal {
  const hangUp = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished)
      hangUp.abort(new GigvaultError('UNAVAILABLE', 'The client went away.'));
  });
  return hangUp.signal;
}
