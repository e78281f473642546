import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { processEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installFaultInjection } from '@gigvault/host/fault-injection';
import { installedVersion } from '@gigvault/host/home';
import type { CreateBootstrapCredentialsResponse } from '@gigvault/proto/auth/v1/token';
import { startTracing } from '@gigvault/telemetry/tracing';
import { systemClock } from '@gigvault/time/clock';
import { checkPorts } from './bootstrap/check-ports.ts';
import {
  announce,
  claimDataDirectory,
  type DataDirectory,
  openDataDirectory,
  type RunningInstance,
  releaseDataDirectory,
} from './bootstrap/data-directory.ts';
import { issueIdentities } from './bootstrap/identities.ts';
import { openDatabase } from './bootstrap/open-database.ts';
import { type Pki, preparePki, registerIssuers } from './bootstrap/pki.ts';
import { requireSafeProfile } from './bootstrap/safe-profile.ts';
import { openSecrets } from './bootstrap/secrets.ts';
import { openCliAccess } from './cli-access.ts';
import { type Ground, layGround, openLogs, poolOf } from './composition/ground.ts';
import { type Serving, serveInOneProcess, serveSplit } from './composition/serve.ts';
import { defaultDataDir, type GigvaultConfig } from './gigvault.config.ts';
import { closingTable } from './report/closing-table.ts';
import type { Progress } from './report/progress.ts';
import { selfCheck } from './self-check/self-check.ts';

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
  options: UpOptions,
  directory: DataDirectory,
  progress: Progress,
  print: (text: string) => void,
  undo: (() => Promise<void>)[],
): Promise<RunningSuite> {
  const { config } = options;
  const stopping = stopOnce(undo);

  // 2. Ports, before anything is made; then the database, provisioned and migrated.
  await checkPorts(config);
  const ground = await openGround(options, directory, progress, undo);
  const { suite, log, metrics, publicUrl } = ground;

  // 3. The root and the issuing CAs: made once, the root key then encrypted and never loaded again.
  const pool = poolOf(ground, 'keymgr');
  const pki = await preparePki({ config, directory, pool, log, metrics, progress, print });

  // 4. The first mTLS identities, issued by the normal flow before anything listens; again when all have expired.
  await suite.start('keymgr');
  await suite.start('ca');
  await registerIssuers(suite, pki);
  const { trustDomain, split } = config;
  await issueIdentities({ suite, directory, pki, trustDomain, clock: systemClock, split });

  // 5. Services and listeners. A fault is for what a running PKI does, not for its bootstrap.
  if (config.faults !== undefined && !split)
    installFaultInjection(config.faults, config.environment);
  const serving = await progress.step('services', async () => {
    const value = split
      ? await serveSplit(ground)
      : await serveInOneProcess(ground, () => void stopping.stop());
    return { say: value.say, value };
  });
  undo.push(() => serving.stop());

  // 6. Proof; then everybody may know where it is.
  const { audit, token } = serving.clients;
  const auditedBefore = pki.isNew ? 0 : (await audit.getCheckpoint({})).treeSize;
  const credentials = await token.createBootstrapCredentials({});
  await progress.step('self check', async () => ({
    say: await prove(config, serving, pki, auditedBefore),
    value: undefined,
  }));
  const access = await openCliAccess(ground, serving, pki, credentials.operatorApiKey);
  await access.worker.start();
  undo.push(() => access.worker.stop());
  undo.push(() => access.close());
  print(tell(ground, serving, pki, credentials));
  return { publicUrl, statusUrl: pki.statusUrl, ...stopping };
}

/** Everything that was started, stopped once, whoever asks for it and however often. */
function stopOnce(undo: (() => Promise<void>)[]): Pick<RunningSuite, 'stop' | 'stopped'> {
  const { promise: stopped, resolve: ended } = Promise.withResolvers<void>();
  let stop: Promise<void> | undefined;
  return {
    stopped,
    stop() {
      stop ??= runAll(undo).then(ended);
      return stop;
    },
  };
}

/** The database, the pools on it, and an empty process; each with what undoes it. */
async function openGround(
  { config, written }: UpOptions,
  directory: DataDirectory,
  progress: Progress,
  undo: (() => Promise<void>)[],
): Promise<Ground> {
  const logOf = openLogs(config, directory);
  const log = logOf('gigvault');
  const tracing = await startTracing({
    service: 'gigvault',
    version: installedVersion(),
    endpoint: config.tracing.endpoint ?? processEnvironment['OTEL_EXPORTER_OTLP_ENDPOINT'],
    log,
  });
  undo.push(() => tracing.stop());
  const secrets = openSecrets(directory);
  const database = await progress.step('database', async () => {
    const value = await openDatabase({ directory, secrets, url: config.database.url, log });
    return { say: value.description, value };
  });
  undo.push(() => database.stop());
  const publicUrl = config.publicUrl ?? `https://localhost:${config.https.port}`;
  const parts = { config, written, directory, secrets, database, publicUrl, log, logOf };
  const ground = layGround(parts);
  undo.push(
    async () => void (await Promise.all([...ground.pools.values()].map((pool) => pool.end()))),
  );
  undo.push(async () => {
    for (const service of [...ground.suite.running()].reverse()) await service.stop();
  });
  return ground;
}

function prove(
  config: GigvaultConfig,
  serving: Serving,
  pki: Pki,
  auditedBefore: number,
): Promise<string> {
  return selfCheck({
    clients: serving.clients,
    // By the listener itself: the public name may lead to a proxy that is not there yet.
    statusUrl: `http://${loopbackOf(config.host)}:${config.http.port}`,
    publicListener: {
      host: loopbackOf(config.host).replace(/^\[|\]$/g, ''),
      port: config.https.port,
      root: readFileSync(pki.rootCertificateFile, 'utf8'),
    },
    // The strict profile issues nothing for names that nobody controls.
    whole: pki.isNew && config.environment === 'development',
    auditedBefore,
    clock: systemClock,
  });
}

/** Leaves the run file behind. Returns what people are told. */
function tell(
  ground: Ground,
  serving: Serving,
  pki: Pki,
  credentials: CreateBootstrapCredentialsResponse,
): string {
  const { config, directory, database, publicUrl } = ground;
  const { adminPort, metricsPort } = serving;
  const { statusUrl, rootCertificateFile: rootCertificate } = pki;
  const { environment, split } = config;
  announce(directory, {
    publicUrl,
    statusUrl,
    database: database.connection,
    ...(adminPort === undefined ? {} : { adminPort }),
  });
  return closingTable({
    publicUrl,
    grpcPort: split ? undefined : config.grpc.port,
    statusUrl,
    dataDir: directory.path,
    logFile: config.log.file ?? directory.logFile,
    rootCertificate,
    adminUrl: adminPort === undefined ? undefined : `https://127.0.0.1:${adminPort}`,
    metricsUrl:
      metricsPort === undefined
        ? undefined
        : `https://${config.metrics.address}:${metricsPort}/metrics`,
    setupToken: credentials.setupToken === '' ? undefined : credentials.setupToken,
    environment,
    split,
  });
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
