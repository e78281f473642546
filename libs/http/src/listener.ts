import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket, TlsOptions } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { AWAKE, type Clock } from '@gigvault/time/clock';
import { type Connections, connectionsOf } from './connections.ts';

/** Milliseconds that a client may take. */
export interface ListenerTimeouts {
  /** For the TLS handshake, and then for the header of a request. */
  readonly header: number;
  /** For a whole request, body included. */
  readonly request: number;
  /** For nothing at all on an open connection. */
  readonly idle: number;
}

/** What a listener needs. */
export interface ListenerOptions {
  /** For messages, as `public listener`. */
  readonly name: string;
  /** An address; `localhost` is both loopback addresses. */
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Absent: plain HTTP. */
  readonly tls?: TlsOptions | undefined;
  /** The only client certificate that may connect, by its `subjectaltname` (node:tls). */
  readonly onlyPeer?: string | undefined;
  readonly timeouts?: ListenerTimeouts | undefined;
  readonly clock: Clock;
}

/** Answers a request. @param isStopping of its listener: then this is its connection's last answer */
export type ListenerHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  isStopping: () => boolean,
) => void;

/** What listens. */
export interface OpenListener {
  readonly port: number;
  /** New key and certificate for new connections. */
  replaceTls(tls: SecureContextOptions): void;
  /**
   * Takes no new connection. On those that are there a request in flight, or on its way, has its answer, which says `connection: close`; those that
   * ask for nothing within ON_ITS_WAY are closed, those whose request is not there to its end within UNREAD, and what is left after `limit` milliseconds.
   */
  stop(limit: number): Promise<void>;
}

const TIMEOUTS: ListenerTimeouts = { header: 10_000, request: 30_000, idle: 60_000 };

interface Listening {
  readonly server: Server;
  readonly connections: Connections;
}

/** Starts a listener. Rejects with CONFLICT, naming the port, when it is in use. */
export async function openListener(
  options: ListenerOptions,
  handle: ListenerHandler,
): Promise<OpenListener> {
  const hosts = options.host === 'localhost' ? ['127.0.0.1', '::1'] : [options.host];
  const servers: Listening[] = [];
  let { port } = options;
  for (const host of hosts) {
    const created = createOne(options, handle);
    const { server } = created;
    try {
      await listen(server, host, port);
    } catch (error) {
      // A machine without IPv6 has no ::1; `localhost` is the IPv4 address there.
      if (servers.length > 0 && hasNoAddress(error)) break;
      await Promise.all(servers.map(closed));
      throw listenError(error, options, port);
    }
    servers.push(created);
    port = (server.address() as AddressInfo).port;
  }
  return {
    port,
    replaceTls(tls) {
      for (const { server } of servers)
        (
          server as unknown as { setSecureContext(tls: SecureContextOptions): void }
        ).setSecureContext({
          ...withVersions(options.tls),
          ...tls,
        });
    },
    stop: (limit) => drain(servers, limit, options.clock),
  };
}

function createOne(options: ListenerOptions, handleOne: ListenerHandler): Listening {
  const handle: RequestListener = (request, response) => {
    connections.took(request, response);
    const doubt = doubtAbout(request);
    if (doubt === undefined) handleOne(request, response, connections.areEnding);
    else answerWith(response, '400 Bad Request', doubt);
  };
  const { header, request, idle } = options.timeouts ?? TIMEOUTS;
  const limits: ServerOptions = {
    headersTimeout: header,
    requestTimeout: request,
    connectionsCheckingInterval: Math.min(5_000, header / 2),
    keepAliveTimeout: Math.min(20_000, idle),
    // It is asked for here, with an answer that says so.
    requireHostHeader: false,
  };
  const server = options.tls
    ? createTlsServer({ ...limits, handshakeTimeout: header, ...withVersions(options.tls) }, handle)
    : createServer(limits, handle);
  const connections = connectionsOf(server, options.tls !== undefined);
  server.setTimeout(idle, (socket: Socket) => socket.destroy());
  server.on('clientError', refuseGarbage);
  server.on('connect', (_request, socket: Socket) => {
    // From here on nobody else hears of its errors, or reads its end.
    socket.on('error', () => undefined);
    endWith(socket, '400 Bad Request', 'CONNECT asks a proxy, and this is none.');
    socket.destroySoon();
  });
  server.on('checkExpectation', (_request, response) =>
    answerWith(response, '417 Expectation Failed', 'The only expectation is 100-continue.'),
  );
  const { onlyPeer } = options;
  if (onlyPeer !== undefined) {
    // Before a request is read: whoever connects here is believed about its clients.
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.getPeerCertificate().subjectaltname !== onlyPeer) socket.destroy();
    });
  }
  return { server, connections };
}

/** TLS 1.3, unless the options say 1.2: then forward secrecy and AEAD only (requirement X1). */
function withVersions(tls: TlsOptions | undefined): TlsOptions {
  return {
    minVersion: 'TLSv1.3',
    ...tls,
    ...(tls?.minVersion === 'TLSv1.2' ? { ciphers: TLS_1_2_CIPHERS } : {}),
  };
}

const TLS_1_2_CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
].join(':');

/** Node's name of what is wrong: status line, and a sentence. */
const GARBAGE: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The header is too large.'],
  HPE_INVALID_METHOD: ['400 Bad Request', 'There is no such HTTP method.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request took too long to arrive.'],
};

/**
 * What another reader of this request could see in another way, although Node takes it: of two hosts Node keeps the first (RFC 9112 §3.2),
 * of transfer codings it looks at the last (§6.1), and HTTP/1.0 knows none (§6.1). Fault T68.
 */
function doubtAbout({ rawHeaders, headers, httpVersion }: IncomingMessage): string | undefined {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++;
  }
  if (hosts > 1) return 'The request names two hosts.';
  if (hosts === 0 && httpVersion === '1.1') return 'The request names no host.';
  const coding = headers['transfer-encoding'];
  if (coding === undefined) return undefined;
  if (httpVersion !== '1.1') return 'HTTP/1.0 has no transfer codings.';
  return coding.toLowerCase() === 'chunked' ? undefined : 'The only transfer coding is chunked.';
}

function answerWith(response: ServerResponse, status: string, detail: string): void {
  const { headers, body } = garbageReply(status, detail);
  response.writeHead(Number(status.slice(0, 3)), headers).end(body);
}

function endWith(socket: Socket, status: string, detail: string): void {
  const { headers, body } = garbageReply(status, detail);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end([`HTTP/1.1 ${status}`, ...lines, '', body].join('\r\n'));
}

function garbageReply(status: string, detail: string) {
  const code = 'INVALID_ARGUMENT';
  const body = JSON.stringify({
    type: 'about:blank',
    title: status.slice(4),
    status: Number(status.slice(0, 3)),
    detail,
    error: { code, message: detail, details: {} },
  });
  const headers = {
    connection: 'close',
    'content-type': 'application/problem+json',
    'content-length': String(body.length),
  };
  return { headers, body };
}

/** What is no HTTP request has no route either: the connection ends with a problem document that knows no path. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || socket.bytesWritten > 0 || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const known = GARBAGE[error.code ?? ''];
  endWith(socket, ...(known ?? (['400 Bad Request', 'This is no HTTP request.'] as const)));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function hasNoAddress(error: unknown): boolean {
  return ['EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function listenError(error: unknown, { name, host }: ListenerOptions, port: number): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const why: Record<string, string> = {
    EADDRINUSE: 'is in use by another program',
    EACCES: 'may not be opened by this user',
    EADDRNOTAVAIL: `cannot be opened: ${host} is not an address of this machine`,
  };
  const reason = why[code ?? ''];
  if (reason === undefined) return error;
  const kind = code === 'EADDRINUSE' ? 'CONFLICT' : 'INVALID_ARGUMENT';
  return new GigvaultError(kind, `Port ${port} (${name}) ${reason}.`, {
    details: { port },
    cause: error,
  });
}

/** Milliseconds in which a request on a kept connection that was sent before its client could know of the stop must have begun. */
const ON_ITS_WAY = 300;
/** Milliseconds in which a request that has begun when a stop comes must be there: of a client that takes longer nothing is lost. */
const UNREAD = 2_000;

async function drain(servers: readonly Listening[], limit: number, clock: Clock): Promise<void> {
  const all = Promise.all(servers.map(closed));
  const ended = new AbortController();
  const endLate = async () => {
    let waited = 0;
    const until = (time: number) => {
      const pause = Math.min(time, limit) - waited;
      waited += pause;
      return clock.sleep(pause, ended.signal);
    };
    await until(ON_ITS_WAY);
    // A busy process runs its timers before it reads what has come meanwhile.
    await new Promise(setImmediate);
    for (const { connections } of servers) connections.endIdle();
    await until(UNREAD);
    for (const { connections } of servers) connections.endUnread();
    await until(limit);
    for (const { connections } of servers) connections.endAll();
  };
  const late = endLate().catch(() => undefined);
  await all;
  ended.abort(AWAKE);
  await late;
}

function closed({ server, connections }: Listening): Promise<void> {
  return new Promise((resolve) => {
    // HTTP's own would reset kept connections with a request on its way. It comes last: it ends the server's timer.
    NetServer.prototype.close.call(server, () => {
      server.close();
      resolve();
    });
    connections.startEnding();
  });
}
