import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createTestAuthority, type TestAuthority } from './test-authority.ts';

/** A request as the fake server's routes see it. */
export interface FakeRequest {
  /** As `POST /service/api/v1/token`. */
  readonly route: string;
  readonly query: URLSearchParams;
  // biome-ignore lint/suspicious/noExplicitAny: the test's own JSON
  readonly body: any;
  readonly authorization: string | undefined;
  /** CN of the client certificate that the connection has shown. */
  readonly client: string | undefined;
}

/** What a route answers: a body with 200, or with a status. */
export type FakeReply = {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
};

/** Routes by `METHOD /path`; a path may end in `*`. */
export type FakeRoutes = Record<string, (request: FakeRequest) => FakeReply>;

/** The base path of the API. */
export const API = '/service/api/v1';

/** An HTTPS server with a certificate of a real CA, answering from a table. */
export interface FakeServer {
  readonly url: string;
  readonly authority: TestAuthority;
  /** Every request, in order. */
  readonly requests: FakeRequest[];
  /** Added to, or changed, by tests. */
  readonly routes: FakeRoutes;
  /** API keys that are exchanged for tokens; the newest token is the only one accepted. */
  readonly apiKeys: Set<string>;
  /** Makes the tokens that were given invalid. */
  expireTokens(): void;
  stop(): Promise<void>;
}

/** A problem document as GigVault sends it. */
export function problem(
  status: number,
  code: string,
  detail: string,
  errors?: object[],
): FakeReply {
  const type = `https://docs.gigvault.dev/errors/GV-${code.replaceAll('_', '-')}`;
  const error = { code, message: detail, details: {} };
  const body = {
    type,
    title: code,
    status,
    detail,
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    error,
    ...(errors ? { errors } : {}),
  };
  return { status, body, headers: { 'content-type': 'application/problem+json' } };
}

/** Starts a server on a free port of 127.0.0.1. */
export async function startFakeServer(): Promise<FakeServer> {
  const authority = createTestAuthority();
  const requests: FakeRequest[] = [];
  const apiKeys = new Set(['gv_key_good']);
  let token = 0;
  const routes: FakeRoutes = {
    [`POST ${API}/token`]: ({ body }) => {
      if (!apiKeys.has(body.clientSecret))
        return problem(401, 'UNAUTHENTICATED', 'The API key is not valid.');
      token += 1;
      return {
        status: 200,
        body: { accessToken: `t${token}`, tokenType: 'Bearer', expiresIn: 900 },
      };
    },
    'GET /version': () => ({ status: 200, body: { name: 'gigvault', version: '9.9.9' } }),
    'GET /ready': () => ({ status: 200, body: { status: 'ok' } }),
    [`GET ${API}/whoami`]: () => ({
      status: 200,
      body: {
        userId: 'u1',
        name: 'ada',
        roles: ['admin'],
        permissions: ['audit:read', 'keys:read'],
        tenantId: 'default',
      },
    }),
  };

  function answer(request: FakeRequest): FakeReply {
    const isOpen = !request.route.includes(API) || /\/(token|setup)$/.test(request.route);
    const isKnown =
      request.authorization === undefined
        ? request.client !== undefined
        : apiKeys.has(request.authorization.replace('Bearer ', ''));
    if (!isOpen && !isKnown && request.authorization !== `Bearer t${token}`)
      return problem(401, 'UNAUTHENTICATED', 'The access token is invalid.');
    const wildcard = Object.keys(routes).find(
      (key) => key.endsWith('*') && request.route.startsWith(key.slice(0, -1)),
    );
    const route = routes[request.route] ?? (wildcard ? routes[wildcard] : undefined);
    return route ? route(request) : problem(404, 'NOT_FOUND', `no route ${request.route}`);
  }

  // Asked for, and never insisted on: as GigVault does.
  const tls = { ...authority.server(), requestCert: true, rejectUnauthorized: false };
  const server = createServer(tls, (incoming, outgoing) => {
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const url = new URL(incoming.url ?? '/', 'https://localhost');
      const text = Buffer.concat(parts).toString('utf8');
      const request = {
        route: `${incoming.method} ${url.pathname}`,
        query: url.searchParams,
        body: text ? JSON.parse(text) : undefined,
        authorization: incoming.headers.authorization,
        client: (incoming.socket as TLSSocket).getPeerCertificate().subject?.CN as
          | string
          | undefined,
      };
      requests.push(request);
      const reply = answer(request);
      outgoing.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
      outgoing.end(reply.body === undefined ? '' : JSON.stringify(reply.body));
    });
  });
  return {
    url: await listen(server),
    authority,
    requests,
    routes,
    apiKeys,
    expireTokens: () => {
      token += 1;
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve(`https://localhost:${(server.address() as AddressInfo).port}`),
    );
  });
}
