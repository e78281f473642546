import type { SecureContextOptions } from 'node:tls';
import { createHealth, type Health } from '@gigvault/host/health';
import { installedPeerTable, installedVersion } from '@gigvault/host/home';
import { apiDocsRoutes, openApiRoutes, publicHealthRoutes } from '@gigvault/host/host-routes';
import { startAdminListener, startMetricsListener } from '@gigvault/host/operator-listeners';
import { peopleOf } from '@gigvault/host/people';
import { publicTlsVersions } from '@gigvault/host/process-config';
import { type ProcessHost, type RunningService, runService } from '@gigvault/host/run-service';
import { createAdmission } from '@gigvault/http/admission';
import type { ApiAccess } from '@gigvault/http/api-gate';
import { clientCertificatesOf } from '@gigvault/http/client-certificates';
import { type HttpServer, startHttpServer } from '@gigvault/http/http-server';
import { RPC } from '@gigvault/rpc/contracts';
import { type GrpcServer, startGrpcServer } from '@gigvault/rpc/grpc-server';
import { createInProcessBroker, type InProcessBroker } from '@gigvault/rpc/in-process-transport';
import type { MtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import type { Pool } from 'pg';
import { type KeyApiListener, startConfiguredKeyApi } from '../edge/key-api-listener.ts';
import { shownCertificate } from '../edge/shown-certificate.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';
import { internalGrpcPort, keyApiAddress } from './grpc-ports.ts';
import { SERVICES } from './services.ts';

/** What a suite in one process stands on. */
export interface SuiteOptions {
  readonly config: GigvaultConfig;
  readonly publicUrl: string;
  readonly metrics: Metrics;
  dataDir(service: ServiceName): string;
  pool(service: ServiceName): Pool;
  log(service: ServiceName): Log;
}

/** A process in which services can be started one by one, over the in-process transport. */
export interface SuiteProcess {
  readonly broker: InProcessBroker;
  start(name: ServiceName): Promise<RunningService>;
  running(): readonly RunningService[];
}

/** An empty process. */
export function createSuiteProcess(options: SuiteOptions): SuiteProcess {
  const { config } = options;
  const broker = createInProcessBroker({ encode: config.encodeInProcess });
  const host: ProcessHost = {
    environment: config.environment,
    trustDomain: config.trustDomain,
    publicUrl: options.publicUrl,
    peers: installedPeerTable(),
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    metrics: options.metrics,
    secrets: processSecrets(config),
    dataDir: options.dataDir,
    pool: options.pool,
    log: options.log,
    authenticator: (name) =>
      peopleOf({
        ofAuth: (service) => broker.client(name, service, 'auth'),
        clock: systemClock,
        log: options.log(name),
        metrics: options.metrics,
      }),
    client: (caller, service, callee) => broker.client(caller, service, callee),
  };
  const running: RunningService[] = [];
  return {
    broker,
    running: () => running,
    async start(name) {
      const there = running.find((service) => service.name === name);
      if (there) return there;
      const service = await runService<never>(SERVICES[name] as never, config[name] as never, host);
      broker.register(service.table);
      running.push(service);
      return service;
    },
  };
}

/** Ports and TLS of a suite's listeners. */
export interface SuiteListenerOptions {
  readonly config: GigvaultConfig;
  readonly publicUrl: string;
  readonly statusUrl: string;
  readonly identity: MtlsIdentity;
  /** Of the public and people's gRPC listeners. */
  readonly publicTls: SecureContextOptions;
  /** Of the admin and metrics listeners. */
  readonly operatorTls: SecureContextOptions;
  readonly adminToken: string;
  readonly log: Log;
  readonly metrics: Metrics;
  shutdown(): void;
}

/** The listeners of a suite in one process. */
export interface SuiteListeners {
  readonly public: HttpServer;
  readonly status: HttpServer;
  readonly grpc: GrpcServer;
  /** Absent where it is not configured. */
  readonly keyApi?: KeyApiListener | undefined;
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly health: Health;
  /** For the public and people's gRPC listeners. */
  replacePublicTls(tls: SecureContextOptions): void;
  /** For the admin and metrics listeners. */
  replaceOperatorTls(tls: SecureContextOptions): void;
  /** For the public and people's gRPC listeners. */
  replaceAccess(access: ApiAccess): void;
  /** Stops taking requests and lets those in flight end, for at most `limit` milliseconds. */
  drain(limit: number): Promise<void>;
  /** Closes what operators still watch while the rest drains. */
  close(): Promise<void>;
}

async function startHttpListeners(
  { config, identity, publicTls, publicUrl, statusUrl, log, metrics }: SuiteListenerOptions,
  services: readonly RunningService[],
  health: Health,
): Promise<{ publicListener: HttpServer; status: HttpServer }> {
  const routes = services.flatMap((service) => service.routes);
  const shared = { host: config.host, behindProxy: false, log, metrics };
  const publicListener = await startHttpServer({
    ...shared,
    ...config.https,
    certificatesOfClients: clientCertificatesOf(config.https, identity.current().servicesCa),
    listeners: ['public'],
    admission: createAdmission({ metrics }),
    tls: { ...publicTls, ...publicTlsVersions(config.https) },
    baseUrl: publicUrl,
    routes: [
      ...routes,
      ...publicHealthRoutes(health, installedVersion()),
      ...openApiRoutes(routes),
      ...apiDocsRoutes(),
    ],
  });
  const status = await startHttpServer({
    ...shared,
    listeners: ['status'],
    port: config.http.port,
    baseUrl: statusUrl,
    routes,
  });
  return { publicListener, status };
}

async function startOperatorListeners(options: SuiteListenerOptions, health: Health) {
  const { config, operatorTls: tls, metrics, adminToken: token, shutdown } = options;
  const { address: host, port } = config.metrics;
  return {
    metricsListener: await startMetricsListener({ host, port, tls, metrics }),
    admin: await startAdminListener({ port: config.admin.port, tls, health, token, shutdown }),
  };
}

/** Starts every service that is not there yet, its workers, and the listeners. */
export async function serveSuite(
  suite: SuiteProcess,
  options: SuiteListenerOptions,
  pool: Pool,
): Promise<SuiteListeners> {
  const { config, identity, metrics } = options;
  const services: RunningService[] = [];
  for (const name of SERVICE_NAMES) services.push(await suite.start(name));
  const shown = shownCertificate({ metrics, clock: systemClock, log: options.log });
  shown.show(options.publicTls);
  const health = createHealth(
    () => [
      { name: 'database', check: async () => void (await pool.query('SELECT 1')) },
      shown.healthCheck,
      ...services.flatMap((s) => s.healthChecks),
    ],
    systemClock,
  );
  const { publicListener, status } = await startHttpListeners(options, services, health);
  const grpc = await startGrpcServer({
    host: config.host,
    port: internalGrpcPort(config),
    identity,
    tables: services.map((service) => service.table),
  });
  const keyApi = await startConfiguredKeyApi(keyApiAddress(config), {
    tls: options.publicTls,
    access: config.https,
    certificatesOfClients: clientCertificatesOf(config.https, identity.current().servicesCa),
    keyApi: suite.broker.client('edge', RPC.keyApi, 'keymgr'),
    log: options.log,
    metrics,
  });
  const { metricsListener, admin } = await startOperatorListeners(options, health);
  for (const service of services) await service.startWorkers();
  health.setReady(true);
  return {
    public: publicListener,
    status,
    grpc,
    keyApi,
    adminPort: admin.port,
    metricsPort: metricsListener.port,
    health,
    replacePublicTls(tls) {
      for (const listener of [publicListener, keyApi]) listener?.replaceTls(tls);
      shown.show(tls);
    },
    replaceOperatorTls(tls) {
      for (const listener of [metricsListener, admin]) listener.replaceTls(tls);
    },
    replaceAccess(access) {
      for (const listener of [publicListener, keyApi]) listener?.replaceAccess(access);
    },
    async drain(limit) {
      health.setReady(false);
      const draining = [publicListener, status, keyApi, grpc].map((one) => one?.stop(limit));
      await Promise.all(draining);
      for (const service of [...services].reverse()) await service.stop();
    },
    async close() {
      await Promise.all([metricsListener.stop(), admin.stop()]);
    },
  };
}
