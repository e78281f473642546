import { timingSafeEqual } from 'node:crypto';
import type { SecureContextOptions, Server } from 'node:tls';
import type { Metrics } from '@gigvault/telemetry/metrics';
import Fastify, { type FastifyInstance } from 'fastify';
import { type Health, healthReply } from './health.ts';

/** A listener for operators. */
export interface OperatorListener {
  readonly port: number;
  /** New key and certificate for new connections. */
  replaceTls(tls: SecureContextOptions): void;
  stop(): Promise<void>;
}

/** What the admin listener needs. */
export interface AdminListenerOptions {
  /** 0 picks a free one. */
  readonly port: number;
  readonly tls: SecureContextOptions;
  readonly health: Health;
  /** Bearer token that `POST /admin/v1/shutdown` asks for. */
  readonly token: string;
  shutdown(): void;
}

/** The private admin listener: 127.0.0.1 only, IPv4 (requirements C43 to C50). */
export async function startAdminListener(options: AdminListenerOptions): Promise<OperatorListener> {
  const app = listener(options.tls);
  app.get('/admin/v1/livez', async () => ({ status: 'ok' }));
  for (const path of ['/admin/v1/readyz', '/admin/v1/healthz']) {
    app.get(path, async (request, reply) => {
      const answer = await healthReply(options.health, request.query as Record<string, unknown>);
      return reply.code(answer.status).header('cache-control', 'no-store').send(answer.body);
    });
  }
  app.post('/admin/v1/shutdown', async (request, reply) => {
    if (!sameToken(request.headers.authorization ?? '', `Bearer ${options.token}`))
      return reply.code(401).send({ error: 'the admin token is missing or wrong' });
    reply.code(202).send({ status: 'draining' });
    options.shutdown();
    return reply;
  });
  return listen(app, '127.0.0.1', options.port);
}

/** The metrics listener: `/metrics`, in the OpenMetrics text format (requirement X4). */
export async function startMetricsListener(options: {
  host: string;
  port: number;
  tls: SecureContextOptions;
  metrics: Metrics;
}): Promise<OperatorListener> {
  const app = listener(options.tls);
  app.get('/metrics', async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await options.metrics.exposition()),
  );
  return listen(app, options.host, options.port);
}

function listener(tls: SecureContextOptions): FastifyInstance {
  return Fastify({
    https: { minVersion: 'TLSv1.3', ...tls },
    logger: false,
    forceCloseConnections: true,
  } as never) as unknown as FastifyInstance;
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<OperatorListener> {
  await app.listen({ host, port });
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    replaceTls: (tls) => (app.server as unknown as Server).setSecureContext(tls),
    stop: () => app.close(),
  };
}

function sameToken(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}
