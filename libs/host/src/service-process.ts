import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createAuthenticator } from '@gigvault/access/access-token';
import { loadConfig } from '@gigvault/config/load-config';
import { processEnvironment } from '@gigvault/config/process-environment';
import { resolveSecret } from '@gigvault/config/secret';
import { servicePool } from '@gigvault/database/pools';
import { startHttpServer } from '@gigvault/http/http-server';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { startGrpcServer } from '@gigvault/rpc/grpc-server';
import { createMtlsIdentity, serverTls } from '@gigvault/rpc/mtls-identity';
import { spiffeId } from '@gigvault/rpc/service-name';
import { createLog, type Log } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { installFaultInjection } from './fault-injection.ts';
import { createHealth } from './health.ts';
import { installedPeerTable, installedVersion } from './home.ts';
import { openApiRoute, publicHealthRoutes } from './host-routes.ts';
import { readIdentity } from './identity-files.ts';
import { identityRenewal } from './identity-renewal.ts';
import { startAdminListener, startMetricsListener } from './operator-listeners.ts';
import { type ServiceProcessConfig, serviceProcessConfig } from './process-config.ts';
import { type ProcessHost, runService } from './run-service.ts';
import type { ServiceDefinition } from './service.ts';
import { failProcess, stopWithSupervisor } from './supervised.ts';

/** Longest time that calls in flight may take once a stop has begun, in milliseconds (fault T19). */
export const DRAIN_LIMIT = 30_000;

/**
 * The main program of one service: `--config <file>`, `--check-config`, `--supervised` (stops when its stdin ends). Prints one line of JSON with its ports on
 * stdout once it serves, drains on SIGTERM and SIGINT.
 */
export async function runServiceProcess<C>(definition: ServiceDefinition<C>): Promise<void> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      'check-config': { type: 'boolean' },
      supervised: { type: 'boolean' },
    },
    strict: true,
  });
  const config = loadConfig(serviceProcessConfig, {
    flags: {},
    environment: processEnvironment,
    ...(values.config === undefined ? {} : { file: values.config }),
  });
  const section = definition.config.parse(config.service);
  if (values['check-config']) return;
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
  const running = await startServiceProcess(definition, section, config, log).catch(failProcess);
  process.stdout.write(`${JSON.stringify(running.ports)}\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => running.stop());
  if (values.supervised) stopWithSupervisor(() => void running.stop());
}

async function startServiceProcess<C>(
  definition: ServiceDefinition<C>,
  section: C,
  config: ServiceProcessConfig,
  log: Log,
) {
  const { name } = definition;
  const metrics = createMetrics();
  const identity = createMtlsIdentity(name, config.trustDomain, readIdentity(config.tls));
  const clients = createGrpcClients(identity, config.addresses);
  const pool = servicePool({
    connection: { host: config.database.host, port: config.database.port },
    database: config.database.name,
    service: name,
    password: resolveSecret(config.database.password, processEnvironment),
    log,
  });
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const host: ProcessHost = {
    environment: config.environment,
    trustDomain: config.trustDomain,
    publicUrl: config.publicUrl,
    peers: installedPeerTable(),
    clock: systemClock,
    metrics,
    dataDir: () => config.dataDir,
    pool: () => pool,
    log: () => log,
    authenticator: () =>
      createAuthenticator({
        jwks: () => clients.client(RPC.token, 'auth').getJwks({}),
        clock: systemClock,
      }),
    client: (_caller, service, callee) => clients.client(service, callee),
  };
  const service = await runService(definition, section, host);
  const health = createHealth(
    () => [
      { name: 'database', check: async () => void (await pool.query('SELECT 1')) },
      ...service.healthChecks,
    ],
    systemClock,
  );
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
      openApiRoute(service.routes),
    ],
    log,
    metrics,
  });
  const metricsListener = await startMetricsListener({
    host: config.metrics.address,
    port: config.metrics.port,
    tls,
    metrics,
  });
  const renewal = identityRenewal({
    identity,
    files: config.tls,
    issuance: clients.client(RPC.issuance, 'ca'),
    clock: systemClock,
    log,
  });
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    health.setReady(false);
    log.info({}, 'draining');
    await Promise.all([https.stop(), grpc.stop(DRAIN_LIMIT)]);
    await renewal.stop();
    await service.stop();
    clients.close();
    await Promise.all([pool.end(), metricsListener.stop(), admin.stop()]);
    log.info({}, 'stopped');
    process.exit(0);
  };
  const admin = await startAdminListener({
    port: config.admin.port,
    tls,
    health,
    token: resolveSecret(config.adminToken, processEnvironment),
    shutdown: () => void stop(),
  });
  await service.startWorkers();
  await renewal.start();
  health.setReady(true);
  log.info({ grpc: grpc.port, https: https.port, admin: admin.port }, 'serving');
  return {
    ports: {
      service: name,
      grpc: grpc.port,
      https: https.port,
      admin: admin.port,
      metrics: metricsListener.port,
    },
    stop,
  };
}
