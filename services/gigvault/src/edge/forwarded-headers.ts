import type { IncomingHttpHeaders } from 'node:http';
import { CLIENT_HEADER, type ClientReader, encodeClient } from '@gigvault/http/client-certificates';
import { LISTENER_HEADER } from '@gigvault/http/route-table';
import type { FastifyRequest } from 'fastify';
import type { EdgeListenerOptions } from './edge-proxy.ts';

/** What passing a request on needs. */
export interface Forwarding extends EdgeListenerOptions {
  /** Absent where nothing is asked of clients. */
  readonly readClient?: ClientReader | undefined;
}

/** Headers that mean one connection, not the next one (RFC 9110 §7.6.1), and what this end of it has answered (§10.1.1). */
const OF_THIS_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The headers of a request as the service gets them: what the client claims about itself is replaced, never extended. */
export function forwardedHeaders<H extends IncomingHttpHeaders>(
  request: FastifyRequest,
  headers: H,
  { listener, tls, readClient }: Pick<Forwarding, 'listener' | 'tls' | 'readClient'>,
) {
  const client = readClient?.(request.raw);
  const own = Object.entries(withoutHops(headers)).filter(
    ([name]) =>
      !name.startsWith('x-forwarded-') &&
      name !== 'forwarded' &&
      name !== 'host' &&
      name !== CLIENT_HEADER,
  );
  return {
    ...Object.fromEntries(own),
    'x-forwarded-for': request.ip,
    'x-forwarded-proto': tls ? 'https' : 'http',
    'x-forwarded-host': request.headers.host ?? '',
    [LISTENER_HEADER]: listener,
    ...(client === undefined ? {} : { [CLIENT_HEADER]: encodeClient(client) }),
    // Also when the client has said that the length means this connection alone.
    ...(request.body === undefined ? {} : { 'content-length': request.headers['content-length'] }),
  };
}

/** Without those that mean one connection. */
export function withoutHops<H extends object>(headers: H): H {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !OF_THIS_CONNECTION.has(name)),
  ) as H;
}
