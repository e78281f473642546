import type { Agent, request as startRequest } from 'node:https';
import { CliFailure } from '../failure.ts';

/** One request. */
export interface HttpsRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Absolute path with query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What came back. */
export interface HttpsReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** A connection to one server. */
export interface HttpsClient {
  /** Any status is an answer. Throws a CliFailure of exit 9 when there is none. */
  send(request: HttpsRequest): Promise<HttpsReply>;
  close(): void;
}

/** Where the server is and whom to trust. */
export interface HttpsClientOptions {
  readonly server: string;
  /** PEM; the only roots that are trusted. Undefined trusts the system's. */
  readonly ca: string | undefined;
  /** PEM; undefined shows no client certificate. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
  /** Milliseconds until a request is given up. */
  readonly timeout: number;
  readonly userAgent: string;
  readonly signal: AbortSignal;
}

const LONGEST_REPLY = 64 * 1024 * 1024;

/** A client that keeps its connection and speaks TLS 1.3 only. */
export function createHttpsClient(options: HttpsClientOptions): HttpsClient {
  let agent: Agent | undefined;

  async function send(message: HttpsRequest): Promise<HttpsReply> {
    // Loaded here: most of a short command's start would be this.
    const https = await import('node:https');
    agent ??= new https.Agent({
      keepAlive: true,
      maxSockets: 4,
      ca: options.ca,
      ...options.client,
      // A server's certificate of another CA is trusted by whoever signed it, without that one's root.
      allowPartialTrustChain: true,
      minVersion: 'TLSv1.3',
    });
    return exchange(options, { request: https.request, agent }, message);
  }

  return {
    send: (message) => send(message).catch((error) => Promise.reject(unreachable(options, error))),
    close: () => agent?.destroy(),
  };
}

async function exchange(
  options: HttpsClientOptions,
  { request, agent }: { readonly request: typeof startRequest; readonly agent: Agent },
  message: HttpsRequest,
): Promise<HttpsReply> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeout)]);
  const { promise, resolve, reject } = Promise.withResolvers<HttpsReply>();
  const headers = {
    accept: 'application/json, application/problem+json',
    'user-agent': options.userAgent,
    ...(message.body === undefined
      ? {}
      : { 'content-length': String(Buffer.byteLength(message.body)) }),
    ...message.headers,
  };
  const call = request(new URL(message.path, `${options.server}/`), {
    method: message.method,
    agent,
    headers,
    signal,
  });
  call.on('error', reject);
  call.on('response', (response) => {
    const parts: Buffer[] = [];
    let size = 0;
    response.on('error', reject);
    response.on('data', (part: Buffer) => {
      size += part.length;
      if (size > LONGEST_REPLY) call.destroy(new Error('the reply is too large'));
      else parts.push(part);
    });
    response.on('end', () => {
      const { statusCode: status = 0, headers: got } = response;
      resolve({ status, headers: got, body: Buffer.concat(parts).toString('utf8') });
    });
  });
  call.end(message.body);
  return promise;
}

function unreachable(options: HttpsClientOptions, error: unknown): unknown {
  if (options.signal.aborted) return options.signal.reason;
  const { code = '', message = '' } = error as NodeJS.ErrnoException;
  if (isTimeout(error))
    return noAnswer(options, `no answer within ${options.timeout / 1000} s`, error);
  if (
    code.startsWith('CERT_') ||
    code.startsWith('ERR_TLS') ||
    code.includes('SIGNATURE') ||
    code.includes('SELF_SIGNED') ||
    code.startsWith('UNABLE_TO')
  )
    return untrusted(options, message, error);
  return noAnswer(
    options,
    code === 'ECONNREFUSED' ? 'nothing listens there' : message || code,
    error,
  );
}

function isTimeout(error: unknown): boolean {
  const cause = (error as { cause?: { name?: string } }).cause;
  return (error as Error).name === 'TimeoutError' || cause?.name === 'TimeoutError';
}

function noAnswer({ server }: HttpsClientOptions, why: string, cause: unknown): CliFailure {
  const { syscall = '' } = cause as NodeJS.ErrnoException;
  return new CliFailure(`cannot reach the server ${server}`, {
    code: 'UNAVAILABLE',
    facts: [{ subject: '', text: why }],
    tries: [
      { command: 'npm run up', note: 'start it on this machine' },
      { command: 'gigvault context show', note: 'where the command looks' },
    ],
    // Without a connection nothing was asked.
    maybeDone: !['connect', 'getaddrinfo'].includes(syscall),
    cause,
  });
}

function untrusted({ server, ca }: HttpsClientOptions, why: string, cause: unknown): CliFailure {
  const unknown = ca === undefined;
  return new CliFailure(
    unknown
      ? `the server ${server} is not trusted here: there is no root for it`
      : `the server ${server} is not the one that the context trusts`,
    {
      code: 'UNAVAILABLE',
      facts: [{ subject: '', text: why }],
      tries: unknown
        ? [{ command: '--ca-file root.crt', note: 'a copy of the root that `up` printed there' }]
        : [{ command: 'gigvault context show', note: 'which CA the command trusts' }],
      cause,
    },
  );
}
