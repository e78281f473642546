import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadConfig } from '@gigvault/config/load-config';
import { processEnvironment } from '@gigvault/config/process-environment';
import type { SecretResolver } from '@gigvault/config/secret';
import { connectionTls } from '@gigvault/database/connection-tls';
import { openServicePool } from '@gigvault/database/pools';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';
import { keepMemoryPrivate } from '@gigvault/files/private-memory';
import type { ApiAccess } from '@gigvault/http/api-gate';
import { startHttpServer } from '@gigvault/http/http-server';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients, type GrpcClients } from '@gigvault/rpc/grpc-client';
import { startGrpcServer } from '@gigvault/rpc/grpc-server';
import { createMtlsIdentity, type MtlsIdentity, serverTls } from '@gigvault/rpc/mtls-identity';
import { spiffeId } from '@gigvault/rpc/service-name';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import { createLog, type Log } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { startTracing, type Tracing } from '@gigvault/telemetry/tracing';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { within } from '@gigvault/time/within';
import type { Pool } from 'pg';
import { z } from 'zod';
import { installFaultInjection } from './fault-injection.ts';
import { createHealth, type Health } from './health.ts';
import { installedPeerTable, installedVersion } from './home.ts';
import { apiDocsRoutes, openApiRoutes, publicHealthRoutes } from './host-routes.ts';
import { readIdentity } from './identity-files.ts';
import { identityReloader } from './identity-reloader.ts';
import { identityRenewal } from './identity-renewal.ts';
import {
  type OperatorListener,
  startAdminListener,
  startMetricsListener,
} from './operator-listeners.ts';
import { peopleOf } from './people.ts';
import {
  API_ACCESS_KEYS,
  type ServiceProcessConfig,
  serviceProcessConfig,
} from './process-config.ts';
import { createReload, reloadOnHangup } from './reload.ts';
import { type ProcessHost, type RunningService, runService } from './run-service.ts';
import type { Reloader, ServiceDefinition } from './service.ts';
import { failProcess, stopWithSupervisor } from './supervised.ts';

/** Longest time that calls in flight may take once a stop has begun, in milliseconds (fault T19). */
export const DRAIN_LIMIT = 30_000;

/** Longest time of a whole stop; what is still busy then is cut off. */
const STOP_LIMIT = DRAIN_LIMIT + 25_000;

/**
 * The main program of one service: `--config <file>`, `--check-config`, `--supervised` (stops when its stdin ends).
 * Prints one line of JSON with its ports on stdout once it serves, drains on SIGTERM and SIGINT. A start that fails ends
 * with one line on stderr and the exit code of its error.
 */
export async function runServiceProcess<C>(definition: ServiceDefinition<C>): Promise<void> {
  keepMemoryPrivate();
  await run(definition).catch(failProcess);
}

async function run<C>(definition: ServiceDefinition<C>): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'check-config': { type: 'boolean' },
      supervised: { type: 'boolean' },
    },
    strict: true,
  });
  const schema = serviceProcessConfig.extend({
    service: z.prefault(definition.config, {} as never),
  });
  const read = () =>
    loadConfig(schema, {
      flags: {},
      environment: processEnvironment,
      ...(values.config === undefined ? {} : { file: values.config }),
    });
  const started = read();
  const { service, ...config } = started;
  if (values['check-config']) return;
  const onHangup = reloadOnHangup();
  const log = createLog({
    service: definition.name,
    version: installedVersion(),
    level: config.log.level,
    destination: config.log.file ?? 2,
  });
  process.on('uncaughtException', (error) => {
    log.error({ error }, 'uncaught error; the process ends');
    process.exit(1);
  });
  if (config.faults !== undefined) installFaultInjection(config.faults, config.environment);
  const running = await startServiceProcess(definition, service as C, config, log).catch(
    (error: unknown) => {
      // What is ours is told on stderr; of anything else the log keeps where it came from.
      if (asGigvaultError(error).code === 'INTERNAL')
        log.error({ error, operation: 'start' }, 'the service did not start');
      throw error;
    },
  );
  onHangup(
    createReload<typeof started>({
      config: started,
      read,
      keys: [
        { keys: ['log.level'], apply: (next) => log.setLevel(next.log.level) },
        { keys: API_ACCESS_KEYS, apply: (next) => running.replaceAccess(next.https) },
      ],
      reloaders: running.reloaders,
      log,
    }),
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => running.stop());
  if (values.supervised) stopWithSupervisor(() => void running.stop());
  // Last: whoever reads it may send a signal at once.
  process.stdout.write(`${JSON.stringify(running.ports)}\n`);
}

/** What the parts of a service's process stand on. */
interface Ground {
  readonly config: ServiceProcessConfig;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly identity: MtlsIdentity;
  readonly clients: GrpcClients;
  readonly pool: Pool;
  readonly secrets: SecretResolver;
}

async function startServiceProcess<C>(
  definition: ServiceDefinition<C>,
  section: C,
  config: ServiceProcessConfig,
  log: Log,
): Promise<ServiceProcess> {
  const { name } = definition;
  const tracing = await startTracing({
    service: name,
    version: installedVersion(),
    endpoint: config.tracing.endpoint ?? processEnvironment['OTEL_EXPORTER_OTLP_ENDPOINT'],
    log,
  });
  const identity = createMtlsIdentity(name, config.trustDomain, readIdentity(config.tls));
  const secrets = processSecrets(config);
  const { host, port, others, name: database, password, ...tls } = config.database;
  const servers = [{ host, port }, ...others];
  const pool = await openServicePool({
    connection: { host, port, ssl: connectionTls(servers, tls) },
    servers,
    database,
    service: name,
    password: await secrets.resolve(password),
    log,
  });
  const clients = createGrpcClients(identity, config.addresses);
  const metrics = createMetrics();
  const ground: Ground = { config, log, metrics, identity, clients, pool, secrets };
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const service = await runService(definition, section, hostOf(ground));
  const health = createHealth(
    () => [
      { name: 'database', check: async () => void (await pool.query('SELECT 1')) },
      ...service.healthChecks,
    ],
    systemClock,
  );
  return serve(ground, service, health, tracing);
}

function hostOf({ config, log, metrics, clients, pool, secrets }: Ground): ProcessHost {
  return {
    environment: config.environment,
    trustDomain: config.trustDomain,
    publicUrl: config.publicUrl,
    peers: installedPeerTable(),
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    metrics,
    secrets,
    dataDir: () => config.dataDir,
    pool: () => pool,
    log: () => log,
    authenticator: () =>
      peopleOf({
        ofAuth: (service) => clients.client(service, 'auth'),
        clock: systemClock,
        log,
        metrics,
      }),
    client: (_caller, service, callee) => clients.client(service, callee),
  };
}

/** A service's process that serves. */
interface ServiceProcess {
  readonly ports: Readonly<Record<string, string | number>>;
  readonly reloaders: readonly Reloader[];
  replaceAccess(access: ApiAccess): void;
  /** Drains and ends the process. */
  stop(): Promise<void>;
}

async function serve(
  ground: Ground,
  service: RunningService,
  health: Health,
  tracing: Tracing,
): Promise<ServiceProcess> {
  const { config, log, identity, clients, pool } = ground;
  const { grpc, https, operators } = await listen(ground, service, health, () => void stop());
  const renewal = identityRenewal({
    identity,
    files: config.tls,
    issuance: clients.client(RPC.issuance, 'ca'),
    certificates: clients.client(RPC.certificate, 'ca'),
    clock: systemClock,
    log,
  });
  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    health.setReady(false);
    log.info({}, 'draining');
    const ended = within(systemClock, STOP_LIMIT, drain(), 'the stop took too long').then(
      () => 0,
      (error: unknown) => {
        log.error({ error }, 'the stop was not clean');
        return 1;
      },
    );
    process.exit(await ended);
  }
  async function drain(): Promise<void> {
    const draining = [service.endLongPolls(), https.stop(DRAIN_LIMIT), grpc.stop(DRAIN_LIMIT)];
    await Promise.all(draining);
    await renewal.stop();
    await service.stop();
    clients.close();
    await Promise.all([pool.end(), tracing.stop(), ...operators.map((o) => o.stop())]);
    log.info({}, 'stopped');
  }
  await service.startWorkers();
  await renewal.start();
  health.setReady(true);
  const [metrics = 0, admin = 0] = operators.map((listener) => listener.port);
  const ports = { service: service.name, grpc: grpc.port, https: https.port, admin, metrics };
  log.info(ports, 'serving');
  const reloaders = [identityReloader(identity, config.tls), ...service.reloaders];
  return { ports, reloaders, replaceAccess: https.replaceAccess, stop };
}

async function listen(
  ground: Ground,
  service: RunningService,
  health: Health,
  shutdown: () => void,
) {
  const { config, log, metrics, identity, secrets } = ground;
  const grpc = await startGrpcServer({ ...config.grpc, identity, tables: [service.table] });
  const tls = serverTls(identity);
  const https = await startHttpServer({
    listeners: ['public', 'status'],
    ...config.https,
    tls: { ...tls, requestCert: true, rejectUnauthorized: true },
    onlyPeer: `URI:${spiffeId(config.trustDomain, 'edge')}`,
    baseUrl: config.publicUrl,
    behindProxy: true,
    routes: [
      ...service.routes,
      ...publicHealthRoutes(health, installedVersion()),
      ...openApiRoutes(service.routes),
      ...apiDocsRoutes(),
    ],
    log,
    metrics,
  });
  const operators: OperatorListener[] = [
    await startMetricsListener({
      host: config.metrics.address,
      port: config.metrics.port,
      tls,
      metrics,
    }),
    await startAdminListener({
      port: config.admin.port,
      tls,
      health,
      token: await secrets.resolve(config.adminToken),
      shutdown,
    }),
  ];
  // Connections by address carry no server name, so they miss serverTls' own renewal.
  identity.onReplace(({ certificate, privateKey }) => {
    for (const listener of operators) listener.replaceTls({ cert: certificate, key: privateKey });
  });
  return { grpc, https, operators };
}
