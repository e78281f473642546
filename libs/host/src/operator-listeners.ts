import { timingSafeEqual } from 'node:crypto';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { openListener } from '@gigvault/http/listener';
import { expositionType, type Metrics, recordBuild } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import Fastify, { type FastifyInstance } from 'fastify';
import { type Health, healthReply } from './health.ts';
import { installedCommit, installedVersion } from './home.ts';

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
  readonly tls: TlsOptions;
  readonly health: Health;
  /** Bearer token that `POST /admin/v1/shutdown` asks for. */
  readonly token: string;
  shutdown(): void;
}

/**
 * The private admin listener: 127.0.0.1 only, IPv4 (requirements C43 to C50). Rejects with CONFLICT, naming the port,
 * when it is in use.
 */
export async function startAdminListener(options: AdminListenerOptions): Promise<OperatorListener> {
  const { health } = options;
  const app = createApp();
  app.get('/admin/v1/livez', async () => ({ status: 'ok' }));
  for (const [path, question] of [
    ['/admin/v1/readyz', 'ready'],
    ['/admin/v1/healthz', 'health'],
  ] as const) {
    app.get(path, async (request, reply) => {
      const answer = await healthReply(health, request.query as Record<string, unknown>, question);
      return reply
        .code(answer.status)
        .headers(answer.headers ?? {})
        .send(answer.body);
    });
  }
  app.post('/admin/v1/shutdown', async (request, reply) => {
    if (!sameToken(request.headers.authorization ?? '', `Bearer ${options.token}`))
      return reply.code(401).send({ error: 'the admin token is missing or wrong' });
    reply.raw.once('finish', () => options.shutdown());
    return reply.code(202).send({ status: 'draining' });
  });
  return serve(app, { name: 'admin listener', host: '127.0.0.1', ...options });
}

/**
 * The metrics listener: `/metrics`, in the Prometheus text format, or in OpenMetrics for who accepts it (requirement X4). Rejects as the
 * admin listener does.
 */
export async function startMetricsListener(options: {
  host: string;
  port: number;
  tls: TlsOptions;
  metrics: Metrics;
}): Promise<OperatorListener> {
  const { host, port, tls, metrics } = options;
  recordBuild(metrics, installedVersion(), installedCommit());
  const app = createApp();
  app.get('/metrics', async (request, reply) => {
    const type = expositionType(request.headers.accept);
    return reply
      .header('vary', 'accept')
      .type(type)
      .send(await metrics.exposition(type));
  });
  return serve(app, { name: 'metrics listener', host, port, tls });
}

function createApp(): FastifyInstance {
  const app: FastifyInstance = Fastify({ logger: false, bodyLimit: 1_000 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  return app;
}

async function serve(
  app: FastifyInstance,
  options: { name: string; host: string; port: number; tls: TlsOptions },
): Promise<OperatorListener> {
  await app.ready();
  const { name, host, port, tls } = options;
  const listener = await openListener(
    { name, host, port, tls, clock: systemClock },
    (request, response) => app.routing(request, response),
  );
  return {
    port: listener.port,
    replaceTls: listener.replaceTls,
    stop: () => listener.stop(STOP_LIMIT),
  };
}

/** Milliseconds for the answers in flight. */
const STOP_LIMIT = 500;

function sameToken(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}
