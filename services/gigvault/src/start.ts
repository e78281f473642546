import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { processEnvironment } from '@gigvault/config/process-environment';
import { isUntouched } from '@gigvault/database/ownership';
import { installFaultInjection } from '@gigvault/host/fault-injection';
import { installedVersion } from '@gigvault/host/home';
import type { ReloadableKeys } from '@gigvault/host/reload';
import type { CreateBootstrapCredentialsResponse } from '@gigvault/proto/auth/v1/token';
import type { Log } from '@gigvault/telemetry/log';
import { startTracing } from '@gigvault/telemetry/tracing';
import { systemClock } from '@gigvault/time/clock';
import { announce, type DataDirectory } from './bootstrap/data-directory.ts';
import type { DatabaseServer } from './bootstrap/database-server.ts';
import { issueIdentities } from './bootstrap/identities.ts';
import { openDatabase } from './bootstrap/open-database.ts';
import { type Pki, preparePki, registerIssuers } from './bootstrap/pki.ts';
import { openSecrets } from './bootstrap/secrets.ts';
import { type CliAccess, openCliAccess } from './cli-access.ts';
import { type Ground, layGround, poolOf } from './composition/ground.ts';
import type { Logs } from './composition/logs.ts';
import { type Serving, serveInOneProcess, serveSplit } from './composition/serve.ts';
import type { GigvaultConfig } from './gigvault.config.ts';
import { closingTable } from './report/closing-table.ts';
import type { Progress } from './report/progress.ts';
import { auditedLeaves, selfCheck } from './self-check/self-check.ts';
import { runAll, type Undo } from './undo.ts';
import type { RunningSuite, UpOptions } from './up.ts';

/** What a start goes on with. */
export interface StartOptions extends UpOptions {
  readonly directory: DataDirectory;
  /** Begun already. */
  readonly server: Promise<DatabaseServer>;
  readonly progress: Progress;
  readonly print: (text: string) => void;
  readonly logOf: Logs;
  readonly undo: Undo;
}

/**
 * The rest of `up`, from the database on. A module of its own, with everything heavy: it is loaded while the database starts.
 * What it starts is on `undo`, also when it fails.
 */
export async function start(options: StartOptions): Promise<RunningSuite> {
  const { config, directory, progress, print, undo } = options;
  const stopping = stopOnce(undo);

  // 2. The database, provisioned and migrated.
  const ground = await openGround(options);
  const { suite, log, metrics, publicUrl } = ground;

  // 3. The root and the issuing CAs: made once, the root key then encrypted and never loaded again.
  const pools = { pool: poolOf(ground, 'keymgr'), caPool: poolOf(ground, 'ca') };
  const pki = await preparePki({ config, directory, ...pools, log, metrics, progress, print });

  // 4. The first mTLS identities, issued by the normal flow before anything listens; again when all have expired.
  const keymgr = await suite.start('keymgr');
  // A token that cannot be used says so now; the self check would only wait for it.
  for (const { check } of keymgr.healthChecks) await check();
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
  // A first start may have been refused after the root was made: then there may be no checkpoint yet.
  const auditedBefore = pki.isNew ? 0 : await auditedLeaves(audit);
  const credentials = await token.createBootstrapCredentials({});
  await progress.step('self check', async () => ({
    say: await prove(config, serving, pki, auditedBefore),
    value: undefined,
  }));
  await letCliIn(options, openCliAccess(ground, serving, pki, credentials.operatorApiKey), log);
  print(await tell(ground, serving, pki, credentials));
  const { keys, reloaders } = serving.reloadable;
  const logLevel: ReloadableKeys<GigvaultConfig> = {
    keys: ['log.level'],
    apply: (next) => options.logOf.setLevel(next.log.level),
  };
  const reloadable = { keys: [logLevel, ...keys], reloaders, log };
  return { publicUrl, statusUrl: pki.statusUrl, reloadable, ...stopping };
}

/** A home that cannot be written, as in a container, is no reason not to serve. */
async function letCliIn(
  { progress, undo }: StartOptions,
  opening: Promise<CliAccess>,
  log: Log,
): Promise<void> {
  try {
    const access = await opening;
    await access.worker.start();
    undo.push(() => access.worker.stop());
    undo.push(() => access.close());
    if (access.aside) progress.note(stays(access.aside));
  } catch (error) {
    log.warn({ error }, 'the gigvault command has no context');
    progress.note(
      `  ! The gigvault command does not know this server: ${(error as Error).message}. Set XDG_CONFIG_HOME to a folder that this user may write in.`,
    );
  }
}

function stays({ name, current }: NonNullable<CliAccess['aside']>): string {
  return `  ! The gigvault command stays with the context ${current}, which is another server's. For this one: npx gigvault context use ${name}`;
}

/** Everything that was started, stopped once, whoever asks for it and however often. */
function stopOnce(undo: Undo): Pick<RunningSuite, 'stop' | 'stopped'> {
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
async function openGround(options: StartOptions): Promise<Ground> {
  const { config, written, directory, server, progress, logOf, undo } = options;
  const log = logOf('gigvault');
  const tracing = await startTracing({
    service: 'gigvault',
    version: installedVersion(),
    endpoint: config.tracing.endpoint ?? processEnvironment['OTEL_EXPORTER_OTLP_ENDPOINT'],
    log,
  });
  undo.push(() => tracing.stop());
  const { secrets, database } = await progress.step('database', async () => {
    const running = await server;
    // Not before there is a server: a start that gets none leaves nothing behind.
    const secrets = await openSecrets(directory);
    const database = await openDatabase(running, secrets, directory).catch((error: unknown) => {
      if (isUntouched(error)) secrets.forgetNew();
      throw error;
    });
    return { say: database.description, value: { secrets, database } };
  });
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
      mayHaveExpired: config.https.tls.certificateFile !== undefined,
      trusted: readFileSync(config.https.tls.certificateFile ?? pki.rootCertificateFile, 'utf8'),
    },
    // The strict profile issues nothing for names that nobody controls.
    whole: auditedBefore === 0 && config.environment === 'development',
    auditedBefore,
    clock: systemClock,
  });
}

/** Leaves the run file behind. Returns what people are told. */
async function tell(
  ground: Ground,
  serving: Serving,
  pki: Pki,
  credentials: CreateBootstrapCredentialsResponse,
): Promise<string> {
  const { config, directory, database, publicUrl } = ground;
  const { listeners } = serving;
  const { statusUrl, rootCertificateFile: rootCertificate, hasRootKey } = pki;
  const { environment } = config;
  await announce(directory, {
    publicUrl,
    statusUrl,
    database: { host: database.connection.host, port: database.connection.port },
    ...('admin' in listeners ? { adminPort: listeners.admin } : { services: listeners }),
  });
  return closingTable({
    publicUrl,
    listeners,
    metricsAddress: config.metrics.address,
    statusUrl,
    dataDir: directory.path,
    logFile: config.log.file ?? directory.logFile,
    rootCertificate,
    hasRootKey,
    setupToken: credentials.setupToken === '' ? undefined : credentials.setupToken,
    environment,
    newKeys: config.keymgr.backends[config.keymgr.backend]?.type ?? 'pkcs8',
  });
}

/** Where this machine reaches a listener on `host`. */
function loopbackOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}
