import { mkdtempSync, rmSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { servicePool } from '@gigvault/database/pools';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultInjection } from '@gigvault/host/fault-injection';
import { installedVersion } from '@gigvault/host/home';
import { readIdentity } from '@gigvault/host/identity-files';
import { identityRenewal } from '@gigvault/host/identity-renewal';
import { DRAIN_LIMIT } from '@gigvault/host/service-process';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { createLog, type Log } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import { checkPorts } from './bootstrap/check-ports.ts';
import {
  announce,
  claimDataDirectory,
  type DataDirectory,
  openDataDirectory,
  type RunningInstance,
  releaseDataDirectory,
} from './bootstrap/data-directory.ts';
import { requireFreePorts } from './bootstrap/free-ports.ts';
import { issueIdentities } from './bootstrap/identities.ts';
import { openDatabase } from './bootstrap/open-database.ts';
import { preparePki, registerIssuers } from './bootstrap/pki.ts';
import { openSecrets, type Secrets } from './bootstrap/secrets.ts';
import { writeCliContext } from './cli-context.ts';
import { createSuiteProcess, type SuiteProcess, serveSuite } from './composition/one-process.ts';
import { startSplit } from './composition/split.ts';
import { publicCertificateRenewal, publicTls } from './edge/public-certificate.ts';
import { defaultDataDir, type GigvaultConfig } from './gigvault.config.ts';
import { closingTable } from './report/closing-table.ts';
import type { Progress } from './report/progress.ts';
import { type SelfCheckClients, selfCheck } from './self-check/self-check.ts';

/** A running PKI. */
export interface RunningSuite {
  readonly publicUrl: string;
  readonly statusUrl: string;
  /** Resolves when it has stopped, whoever asked for it. */
  readonly stopped: Promise<void>;
  /** Drains, stops everything, and gives the data directory back. */
  stop(): Promise<void>;
}

/** Raised when the data directory is already served; not a failure. */
export class AlreadyRunning extends Error {
  readonly instance: RunningInstance;

  constructor(instance: RunningInstance) {
    super('already running');
    this.instance = instance;
  }
}

/** What to start. */
export interface UpOptions {
  readonly config: GigvaultConfig;
  /** The same as it was written, for the processes of split mode. */
  readonly written: Readonly<Record<string, unknown>>;
}

/** What a start builds on, once the first steps are done. */
interface Ground {
  readonly config: GigvaultConfig;
  readonly written: Readonly<Record<string, unknown>>;
  readonly directory: DataDirectory;
  readonly secrets: Secrets;
  readonly database: Awaited<ReturnType<typeof openDatabase>>;
  readonly publicUrl: string;
  readonly log: Log;
  logOf(service: ServiceName): Log;
  readonly suite: SuiteProcess;
  readonly pools: Map<ServiceName, Pool>;
  readonly metrics: ReturnType<typeof createMetrics>;
}

/** What the two modes have in common once they serve. */
interface Serving {
  readonly clients: SelfCheckClients;
  readonly adminPort: number | undefined;
  readonly metricsPort: number | undefined;
  /** What it says in the `services` line. */
  readonly say: string;
  stop(): Promise<void>;
}

/**
 * Starts everything: database, PKI, services, listeners; proves that it works; prints where things are.
 * Errors: AlreadyRunning; CONFLICT naming a port in use; INVALID_ARGUMENT for a configuration or directory that cannot be.
 */
export async function up(
  options: UpOptions,
  progress: Progress,
  print: (text: string) => void,
): Promise<RunningSuite> {
  const { config } = options;
  requireSafeProfile(config);
  // 1. The data directory, for this process alone.
  const path = config.ephemeral
    ? mkdtempSync(join(tmpdir(), 'gigvault-'))
    : resolve(config.dataDir ?? defaultDataDir());
  const directory = openDataDirectory(path);
  const holder = claimDataDirectory(directory);
  if (holder) throw new AlreadyRunning(holder);
  const undo: (() => Promise<void>)[] = [];
  undo.push(async () => {
    releaseDataDirectory(directory);
    if (config.ephemeral) rmSync(path, { recursive: true, force: true });
  });
  try {
    return await start(withRootCrl(options, directory), directory, progress, print, undo);
  } catch (error) {
    await runAll(undo);
    throw error;
  }
}

/** What the production profile does not do silently. */
function requireSafeProfile(config: GigvaultConfig): void {
  if (config.environment === 'development') return;
  if (config.ra.http01Port !== undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'ra.http01Port can be set in the development environment only: http-01 asks port 80.',
    );
  }
  if (!config.split && !config.singleNode) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'In production, keymgr does not share a process with services that face networks. Use --split, or accept it with --single-node.',
    );
  }
  if (config.publicUrl === undefined || config.status.publicUrl === undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'In production, say what clients use: --public-url https://pki.example.com and --status-public-url http://status.example.com. Both stand in certificates.',
    );
  }
}

/** The CRL service publishes the root's CRL, which lies beside the root, unless it is told of another file. */
function withRootCrl(options: UpOptions, directory: DataDirectory): UpOptions {
  const { config } = options;
  return {
    ...options,
    config: {
      ...config,
      crl: { ...config.crl, rootCrlFile: config.crl.rootCrlFile ?? directory.rootCrl },
    },
  };
}

async function start(
  { config, written }: UpOptions,
  directory: DataDirectory,
  progress: Progress,
  print: (text: string) => void,
  undo: (() => Promise<void>)[],
): Promise<RunningSuite> {
  const publicUrl = config.publicUrl ?? `https://localhost:${config.https.port}`;
  const logs = new Map<string, Log>();
  const logOf = (service: string): Log => {
    const there = logs.get(service);
    if (there) return there;
    const destination = config.log.file ?? directory.logFile;
    const made = createLog({
      service,
      version: installedVersion(),
      level: config.log.level,
      destination,
    });
    logs.set(service, made);
    return made;
  };
  const log = logOf('gigvault');
  await checkPorts(config);
  const secrets = openSecrets(directory);

  // 2. Ports, before anything is made; then the database, provisioned and migrated.
  await requireFreePorts(config.host, {
    https: config.https.port,
    http: config.http.port,
    ...(config.split ? {} : { grpc: config.grpc.port, metrics: config.metrics.port }),
  });
  const database = await progress.step('database', async () => {
    const value = await openDatabase({ directory, secrets, url: config.database.url, log });
    return { say: value.description, value };
  });
  undo.push(() => database.stop());
  const ground = layGround({
    config,
    written,
    directory,
    secrets,
    database,
    publicUrl,
    log,
    logOf,
  });
  undo.push(
    async () => void (await Promise.all([...ground.pools.values()].map((pool) => pool.end()))),
  );
  undo.push(async () => {
    for (const service of [...ground.suite.running()].reverse()) await service.stop();
  });
  // After the bootstrap of a first start: a fault is for what a running PKI does.
  const injectFaults = () =>
    config.faults !== undefined &&
    !config.split &&
    installFaultInjection(config.faults, config.environment);

  // 3. The root and the issuing CAs: made once, the root key then encrypted and never loaded again.
  const pki = await preparePki({
    config,
    directory,
    pool: poolOf(ground, 'keymgr'),
    log,
    metrics: ground.metrics,
    progress,
    print,
  });

  // 4. The first mTLS identities, issued by the normal flow before anything listens; again when all have expired.
  await ground.suite.start('keymgr');
  await ground.suite.start('ca');
  await registerIssuers(ground.suite, pki);
  await issueIdentities({
    suite: ground.suite,
    directory,
    pki,
    trustDomain: config.trustDomain,
    clock: systemClock,
    split: config.split,
  });

  // 5. Services and listeners.
  injectFaults();
  const serving = await progress.step('services', async () => {
    const value = config.split
      ? await serveSplit(ground)
      : await serveOne(ground, () => void running.stop());
    return { say: value.say, value };
  });
  undo.push(() => serving.stop());
  const statusUrl = pki.statusUrl;

  // 6. Proof.
  const credentials = await serving.clients.token.createBootstrapCredentials({});
  await progress.step('self check', async () => {
    const say = await selfCheck({
      clients: serving.clients,
      // By the listener itself: the public name may lead to a proxy that is not there yet.
      statusUrl: `http://${loopbackOf(config.host)}:${config.http.port}`,
      // The strict profile issues nothing for names that nobody controls.
      whole: pki.isNew && config.environment === 'development',
      clock: systemClock,
    });
    return { say, value: undefined };
  });
  await writeCliContext({
    publicUrl,
    rootCertificate: pki.rootCertificateFile,
    apiKey: credentials.operatorApiKey,
    environment: config.environment,
    auditPublicKey: (await serving.clients.audit.getCheckpoint({})).publicKey,
  });
  announce(directory, {
    publicUrl,
    statusUrl,
    database: database.connection,
    ...(serving.adminPort === undefined ? {} : { adminPort: serving.adminPort }),
  });
  print(
    closingTable({
      publicUrl,
      grpcPort: config.split ? undefined : config.grpc.port,
      statusUrl,
      dataDir: directory.path,
      logFile: config.log.file ?? directory.logFile,
      rootCertificate: pki.rootCertificateFile,
      adminUrl:
        serving.adminPort === undefined ? undefined : `https://127.0.0.1:${serving.adminPort}`,
      metricsUrl:
        serving.metricsPort === undefined
          ? undefined
          : `https://${config.metrics.address}:${serving.metricsPort}/metrics`,
      setupToken: credentials.setupToken === '' ? undefined : credentials.setupToken,
      environment: config.environment,
      split: config.split,
    }),
  );
  let stop: Promise<void> | undefined;
  let ended: () => void = () => undefined;
  const stopped = new Promise<void>((resolveStopped) => {
    ended = resolveStopped;
  });
  const running: RunningSuite = {
    publicUrl,
    statusUrl,
    stopped,
    stop() {
      stop ??= runAll(undo).then(ended);
      return stop;
    },
  };
  return running;
}

function layGround(parts: Omit<Ground, 'suite' | 'pools' | 'metrics'>): Ground {
  const metrics = createMetrics();
  const pools = new Map<ServiceName, Pool>();
  const ground: Ground = {
    ...parts,
    metrics,
    pools,
    suite: createSuiteProcess({
      config: parts.config,
      publicUrl: parts.publicUrl,
      metrics,
      dataDir: (service) => parts.directory.of(service),
      pool: (service) => poolOf(ground, service),
      log: parts.logOf,
    }),
  };
  return ground;
}

/** The service's pool, made when it is first asked for. */
function poolOf(ground: Ground, service: ServiceName): Pool {
  const there = ground.pools.get(service);
  if (there) return there;
  const pool = servicePool({
    connection: ground.database.connection,
    database: ground.database.name,
    service,
    password: ground.secrets.databasePasswords[service],
    log: ground.logOf(service),
  });
  ground.pools.set(service, pool);
  return pool;
}

async function serveOne(ground: Ground, shutdown: () => void): Promise<Serving> {
  const { config, directory, secrets, publicUrl, suite, metrics, log } = ground;
  const identity = createMtlsIdentity(
    'gigvault',
    config.trustDomain,
    readIdentity(directory.identity('gigvault')),
  );
  const client = <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) =>
    suite.broker.client('gigvault', service as never, callee) as S;
  const certificate = {
    files: directory.edge,
    publicUrl,
    issuance: suite.broker.client('gigvault', RPC.issuance, 'ca'),
    clock: systemClock,
  };
  const listeners = await serveSuite(
    suite,
    {
      config,
      publicUrl,
      statusUrl: ground.config.status.publicUrl ?? `http://localhost:${config.http.port}`,
      identity,
      publicTls: await publicTls(certificate),
      adminToken: secrets.adminToken,
      log,
      metrics,
      shutdown,
    },
    poolOf(ground, 'ca'),
  );
  const workers: Worker[] = [
    publicCertificateRenewal({
      ...certificate,
      log,
      use: (tls) => listeners.replaceTls(tls),
    }),
    identityRenewal({
      identity,
      files: directory.identity('gigvault'),
      issuance: certificate.issuance,
      clock: systemClock,
      log,
    }),
  ];
  for (const worker of workers) await worker.start();
  return {
    clients: selfCheckClients(client),
    adminPort: listeners.adminPort,
    metricsPort: listeners.metricsPort,
    say: suite
      .running()
      .map((service) => service.name)
      .join(' '),
    async stop() {
      for (const worker of workers) await worker.stop();
      await listeners.drain(DRAIN_LIMIT);
      await listeners.close();
    },
  };
}

async function serveSplit(ground: Ground): Promise<Serving> {
  const { config, directory, secrets, publicUrl, suite, database, log } = ground;
  // The bootstrap's keymgr and ca give way to the processes that go on with their tables.
  for (const service of [...suite.running()].reverse()) await service.stop();
  const split = await startSplit({
    config,
    sections: ground.written,
    publicUrl,
    directory,
    secrets,
    database: { ...database.connection, name: database.name },
    log,
  });
  const identity = createMtlsIdentity(
    'gigvault',
    config.trustDomain,
    readIdentity(directory.identity('gigvault')),
  );
  const clients = createGrpcClients(identity, split.addresses);
  const renewal = identityRenewal({
    identity,
    files: directory.identity('gigvault'),
    issuance: clients.client(RPC.issuance, 'ca'),
    clock: systemClock,
    log,
  });
  await renewal.start();
  return {
    clients: selfCheckClients(
      <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) =>
        clients.client(service as never, callee) as S,
    ),
    adminPort: undefined,
    metricsPort: undefined,
    say: `${split.processes().length} processes: ${split
      .processes()
      .map((process) => process.name)
      .join(' ')}`,
    async stop() {
      await renewal.stop();
      clients.close();
      await split.stop();
    },
  };
}

function selfCheckClients(
  client: <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) => S,
): SelfCheckClients {
  return {
    audit: client(RPC.audit, 'audit'),
    enrolment: client(RPC.enrolment, 'ra'),
    issuer: client(RPC.issuer, 'ca'),
    revocation: client(RPC.revocation, 'ca'),
    token: client(RPC.token, 'auth'),
  };
}

/** Where this machine reaches a listener on `host`. */
function loopbackOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}

async function runAll(undo: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of undo.splice(0).reverse()) {
    await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0)
    throw new GigvaultError('INTERNAL', 'The stop was not clean.', {
      cause: new AggregateError(failures),
    });
}
