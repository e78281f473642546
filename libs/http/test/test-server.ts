import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect as tcpConnect } from 'node:net';
import { type Authenticator, permissionsOf } from '@gigvault/access/permissions';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { z } from 'zod';
import type { Door, ForbiddenOperation } from '../src/admit.ts';
import { type HttpServer, type HttpServerOptions, startHttpServer } from '../src/http-server.ts';
import type { MountedRoute } from '../src/mounting.ts';
import { type HttpReply, type HttpRequest, operation, type ProtocolRoute } from '../src/route.ts';

/** Signs every certificate of these tests. */
export const identities = createTestIdentities();

/** Bearer token that the test authenticator knows as an admin. */
export const TOKEN = 'Bearer admin';

/** What the slow route waits for; a test sets it. */
export const gate: { opened: Promise<void>; seen: HttpRequest[] } = {
  opened: Promise.resolve(),
  seen: [],
};

/** Of whom the tests' door has told: what they may not do. */
export const forbidden: ForbiddenOperation[] = [];

const authenticator: Authenticator = {
  async authenticate({ authorization }) {
    const role = authorization?.replace(/^Bearer /, '');
    if (role !== 'admin' && role !== 'auditor')
      throw new GigvaultError('UNAUTHENTICATED', 'Not signed in.');
    return {
      actor: `user:${role}`,
      name: role,
      roles: [role],
      permissions: permissionsOf([role]),
      tenantId: 'default',
    };
  },
};

const door: Door = {
  authenticator,
  tellForbidden: async (_principal, asked) => void forbidden.push(asked),
};

function acme(
  method: ProtocolRoute['method'],
  path: string,
  handle: ProtocolRoute['handle'],
): MountedRoute {
  return {
    service: 'enroll',
    door,
    route: {
      kind: 'protocol',
      listener: 'public',
      method,
      path: `/acme${path}`,
      bodyLimit: 1_000,
      errorReply: (error) => {
        const { row, message } = asGigvaultError(error);
        if (message === 'fail twice') throw new Error('the password is hunter2');
        return {
          status: row.http,
          headers: { 'content-type': 'application/problem+json', 'replay-nonce': 'n' },
          body: Buffer.from(JSON.stringify({ type: `urn:ietf:params:acme:error:${row.acme}` })),
        };
      },
      handle,
    },
  };
}

const order = async (request: HttpRequest): Promise<HttpReply> => {
  gate.seen.push(request);
  await gate.opened;
  return { status: 200, body: { clientIp: request.clientIp, id: request.params['id'] } };
};

const direct = ({ route, ...mounted }: MountedRoute): MountedRoute => ({
  ...mounted,
  route: { ...route, direct: true } as ProtocolRoute,
});

/** Routes that show every outcome. */
export const ROUTES: readonly MountedRoute[] = [
  acme('POST', '/new-order', async (request) => ({
    status: 200,
    body: { length: request.body.length, url: request.url },
  })),
  acme('GET', '/directory', async () => ({ status: 200, body: { newNonce: 'x' } })),
  acme('GET', '/order/:id', order),
  direct(acme('GET', '/direct/*', async (request) => ({ ...(await order(request)), body: 'd' }))),
  acme('GET', '/broken', async () => {
    throw new Error('the password is hunter2');
  }),
  acme('GET', '/broken-twice', async () => {
    throw new GigvaultError('CONFLICT', 'fail twice');
  }),
  {
    service: 'auth',
    door,
    route: operation({
      operationId: 'createUser',
      method: 'POST',
      path: '/users',
      tag: 'Users',
      summary: 'Creates a user',
      permission: 'users:manage',
      query: z.strictObject({ dryRun: z.stringbool().optional() }),
      body: z.strictObject({ name: z.string(), age: z.int().optional(), more: z.any().optional() }),
      replies: { 201: z.object({ name: z.string(), traceId: z.string(), actor: z.string() }) },
      examples: {
        body: { name: 'ada' },
        replies: { 201: { name: 'ada', traceId: '4bf9', actor: 'user:1' } },
      },
      errors: { ALREADY_EXISTS: 'User ada exists already.' },
      location: 'The user',
      idempotencyKey: 'A repetition makes no second user.',
      handle: async (request) => ({
        status: 201,
        body: {
          name: request.body.name,
          traceId: request.traceId,
          actor: request.principal?.actor,
          clientIp: request.clientIp,
        },
      }),
    }),
  },
  {
    service: 'auth',
    door,
    route: operation({
      operationId: 'getUser',
      method: 'GET',
      path: '/users/:userId',
      tag: 'Users',
      summary: 'One user',
      permission: 'signed-in',
      params: z.object({ userId: z.string().max(5) }),
      replies: { 200: z.object({ id: z.string() }) },
      examples: { params: { userId: '7' }, replies: { 200: { id: '7' } } },
      handle: async (request) => ({ status: 200, body: { id: request.params.userId } }),
    }),
  },
];

const { certificate, privateKey, servicesCa } = identities.identity('gigvault').current();

/** TLS of the test listeners. */
export const TLS = { cert: certificate, key: privateKey };

const running: HttpServer[] = [];

/** A listener with ROUTES; HTTPS unless `tls` is undefined. */
export async function start(
  overrides: Partial<HttpServerOptions> = {},
): Promise<HttpServer & { readonly metrics: Metrics }> {
  const metrics = createMetrics();
  const server = await startHttpServer({
    listeners: ['public'],
    host: '127.0.0.1',
    port: 0,
    tls: TLS,
    baseUrl: 'https://localhost:8443',
    behindProxy: false,
    routes: ROUTES,
    log: silentLog,
    metrics,
    ...overrides,
  });
  running.push(server);
  return { ...server, metrics };
}

/** Stops every listener of the test file. */
export async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((server) => server.stop(100)));
}

/** An answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  json(): Record<string, unknown>;
}

/** What a test sends. */
export interface Call {
  readonly method?: string;
  readonly headers?: Record<string, string | string[] | undefined>;
  readonly body?: string | Buffer;
  readonly plain?: boolean;
  readonly host?: string;
  readonly client?: { cert: string; key: string };
  readonly signal?: AbortSignal;
}

/** One request over a connection of its own. */
export function call(server: { port: number }, path: string, options: Call = {}): Promise<Answer> {
  const { method = 'GET', headers, body, plain, host = '127.0.0.1', client, signal } = options;
  return new Promise((resolve, reject) => {
    const send = plain ? httpRequest : httpsRequest;
    const outgoing = send(
      {
        host,
        port: server.port,
        path,
        method,
        agent: false,
        headers,
        signal,
        ...(plain ? {} : { ca: servicesCa, checkServerIdentity: () => undefined }),
        ...(plain ? {} : { allowPartialTrustChain: true, servername: 'gigvault.test', ...client }),
      } as never,
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: () => JSON.parse(text) as Record<string, unknown>,
          });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** A REST request with the admin's token and a JSON body. */
export function api(server: { port: number }, path: string, body?: unknown): Promise<Answer> {
  return call(server, path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: TOKEN, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
}

/** Writes octets to a plain listener and returns everything that comes back until it closes the connection. */
export function raw(server: { port: number }, ...parts: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tcpConnect(server.port, '127.0.0.1');
    let text = '';
    socket.on('data', (part) => {
      text += part.toString();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    for (const part of parts) socket.write(part);
  });
}
