import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { processEnvironment } from '@gigvault/config/process-environment';
import type { TlsChoice } from '@gigvault/database/connection-tls';
import type { ServerAddress } from '@gigvault/database/writable-server';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { installationRoot } from '@gigvault/host/home';
import { toldFailure } from '@gigvault/host/start-failure';
import { freePorts } from '@gigvault/rpc/free-ports';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import type { SecretsConfig } from '@gigvault/secrets/secrets.config';
import type { Log } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import { parse, stringify } from 'yaml';
import type { DataDirectory } from '../bootstrap/data-directory.ts';
import type { Secrets } from '../bootstrap/secrets.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';
import { childEnvironment } from './child-environment.ts';
import { endProcess } from './end-process.ts';
import { internalGrpcPort, keyApiAddress } from './grpc-ports.ts';
import { secretPlaces } from './secret-places.ts';
import { PORT_ORDER, type ProcessPorts, portOf } from './split-ports.ts';

/** One process each, and the proxy before them. */
type ProcessName = ServiceName | 'edge';

/** The processes of split mode. */
export interface SplitSuite {
  readonly addresses: Readonly<Record<ServiceName, string>>;
  readonly processes: readonly ProcessName[];
  /** Where each service listens, in the order of PORT_ORDER; last the edge. */
  readonly ports: readonly ProcessPorts[];
  /** Writes this configuration's log level and API access into the files of the processes. */
  rewrite(config: GigvaultConfig): Promise<void>;
  /** Sends SIGHUP to every process. */
  hangup(): void;
  /** Ends every process, the edge first, see endProcess. */
  stop(): Promise<void>;
}

/** What split mode needs to know of the rest. */
export interface SplitOptions {
  readonly config: GigvaultConfig;
  /** Each service's section as it was written: its process reads it again. */
  readonly sections: Readonly<Record<string, unknown>>;
  readonly publicUrl: string;
  readonly directory: DataDirectory;
  readonly secrets: Secrets;
  readonly database: TlsChoice & {
    readonly host: string;
    readonly port: number;
    readonly others: readonly ServerAddress[];
    readonly name: string;
  };
  readonly log: Log;
}

/** Milliseconds before a process that died is started again. */
const RESTART_DELAY = 300;
const LONGEST_RESTART_DELAY = 10_000;
const PORTS = { first: 10_000, block: 24, blocks: 500 };

/**
 * Starts one process per service, each with its own configuration file, and the edge proxy; a process that dies is
 * started again. When one does not come up, the others are ended and the error is thrown.
 */
export async function startSplit(options: SplitOptions): Promise<SplitSuite> {
  const { addresses, upstreams } = await chooseAddresses(options.config);
  const files = await writeConfigs(options, addresses, upstreams);
  const children = new Map<ProcessName, ChildProcess>();
  const ports = new Map<ProcessName, ProcessPorts>();
  const stopping = new AbortController();

  async function launch(name: ProcessName): Promise<void> {
    const child = spawnProgram(name, files);
    children.set(name, child);
    ports.set(name, await serving(name, child, stopping.signal, options.log));
    child.once('exit', () => void relaunch(name));
  }

  /** Until it runs, or everything stops. */
  async function relaunch(name: ProcessName): Promise<void> {
    for (let delay = RESTART_DELAY; ; delay = Math.min(2 * delay, LONGEST_RESTART_DELAY)) {
      await systemClock.sleep(delay, stopping.signal).catch(() => undefined);
      if (stopping.signal.aborted) return;
      options.log.error({ operation: 'supervise', process: name }, 'process is started again');
      try {
        return await launch(name);
      } catch (error) {
        options.log.error({ error, process: name }, 'process could not be started again');
      }
    }
  }

  // A process that exits without waiting, as at the second Ctrl-C, leaves none of them behind.
  const killAll = () => {
    for (const child of children.values()) child.kill('SIGKILL');
  };
  process.once('exit', killAll);

  async function stop(): Promise<void> {
    stopping.abort();
    const edge = children.get('edge');
    if (edge) await endProcess(edge);
    await Promise.all([...children.values()].map((child) => endProcess(child)));
    process.off('exit', killAll);
  }

  try {
    await Promise.all(SERVICE_NAMES.map(launch));
    await launch('edge');
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    addresses,
    processes: [...children.keys()],
    ports: ([...PORT_ORDER, 'edge'] as const).map((name) => ports.get(name) as ProcessPorts),
    async rewrite({ log: { level }, https: { allowedNetworks, rateLimit } }) {
      const { log, https, ...rest } = options.config;
      const changed = { log: { ...log, level }, https: { ...https, allowedNetworks, rateLimit } };
      const config = { ...rest, ...changed };
      await writeConfigs({ ...options, config }, addresses, upstreams);
    },
    hangup() {
      for (const child of children.values()) child.kill('SIGHUP');
    },
    stop,
  };
}

/** gRPC where the configuration says; the HTTPS listeners, which only the edge knows, on free ports. */
async function chooseAddresses(config: GigvaultConfig) {
  const { admin, metrics } = config;
  const grpc = internalGrpcPort(config);
  const given = [grpc, admin.port, metrics.port].flatMap((base) =>
    SERVICE_NAMES.map((service) => portOf(base, service)),
  );
  given.push(portOf(metrics.port, 'edge'));
  const free = (await freePorts(2 * SERVICE_NAMES.length + given.length, PORTS)).filter(
    (port) => !given.includes(port),
  );
  const byService = (portFor: (name: ServiceName, i: number) => number | undefined) =>
    Object.fromEntries(
      SERVICE_NAMES.map((name, i) => [name, `127.0.0.1:${portFor(name, i)}`]),
    ) as Record<ServiceName, string>;
  return {
    addresses: byService((name, i) => portOf(grpc, name) || free[i]),
    upstreams: byService((_name, i) => free[SERVICE_NAMES.length + i]),
  };
}

async function writeConfigs(
  options: SplitOptions,
  addresses: Record<ServiceName, string>,
  upstreams: Record<ServiceName, string>,
): Promise<Record<ProcessName, string>> {
  const { config, directory, secrets } = options;
  const { allowedNetworks, rateLimit } = config.https;
  const shared = {
    environment: config.environment,
    trustDomain: config.trustDomain,
    log: { level: config.log.level, file: directory.logFile },
    tracing: config.tracing,
    ...(config.faults === undefined ? {} : { faults: config.faults }),
    publicUrl: options.publicUrl,
  };
  const write = async (name: ProcessName, content: object): Promise<string> => {
    const file = join(directory.path, 'services', `${name}.yaml`);
    const whole = { ...content, secrets: reachOf(config.secrets, content) };
    await writeFileDurably(file, stringify(whole, { aliasDuplicateObjects: false }), 0o600);
    return file;
  };
  const files = SERVICE_NAMES.map(async (name) => {
    const content = {
      ...shared,
      admin: { port: portOf(config.admin.port, name) },
      metrics: { address: config.metrics.address, port: portOf(config.metrics.port, name) },
      dataDir: directory.of(name),
      database: { ...options.database, password: secrets.reference(`database-${name}`) },
      grpc: hostAndPort(addresses[name]),
      https: { allowedNetworks, rateLimit, ...hostAndPort(upstreams[name]) },
      tls: directory.identity(name),
      adminToken: secrets.reference('admin-token'),
      addresses,
      service: sectionOf(options, name),
    };
    return [name, await write(name, content)] as const;
  });
  const edge = await write('edge', {
    ...shared,
    host: config.host,
    // What clients prove is told to the services by the edge alone.
    https: config.https,
    keyApi: keyApiAddress(config),
    http: config.http,
    metrics: { address: config.metrics.address, port: portOf(config.metrics.port, 'edge') },
    tls: directory.identity('edge'),
    publicCertificate: directory.edge,
    upstreams,
    addresses,
  });
  const written = Object.fromEntries(await Promise.all(files)) as Record<ServiceName, string>;
  return { ...written, edge };
}

/** How the places of secrets outside of this machine are reached, of those which a process's configuration names: who reaches one can read whatever lies there. */
function reachOf({ vault, aws }: SecretsConfig, content: object): Partial<SecretsConfig> {
  const places = secretPlaces(content);
  const names = (scheme: string) => places.some((place) => place.startsWith(scheme));
  return { ...(names('vault:') && { vault }), ...(names('aws-') && { aws }) };
}

function sectionOf(options: SplitOptions, name: ServiceName): unknown {
  const section = (options.sections[name] ?? {}) as object;
  return name === 'crl' ? { rootCrlFile: options.directory.rootCrl, ...section } : section;
}

function hostAndPort(address: string): { host: string; port: number } {
  const [host, port] = address.split(':') as [string, string];
  return { host, port: Number(port) };
}

function spawnProgram(
  name: ProcessName,
  files: Readonly<Record<ProcessName, string>>,
): ChildProcess {
  const configFile = files[name];
  // By what the file says now: a reload may have written it anew.
  const config = parse(readFileSync(configFile, 'utf8'));
  const program = join(installationRoot(), 'dist', `${name}.js`);
  return spawn(
    process.execPath,
    // Node's own flags are the same for all.
    [...process.execArgv, program, '--supervised', '--config', configFile],
    {
      // Its stdin ends with this process, however that ends, and then it stops too.
      stdio: ['pipe', 'pipe', 'pipe'],
      env: childEnvironment(processEnvironment, config),
      // Its own process group: Ctrl-C on the terminal reaches the supervisor alone, which drains in order.
      detached: true,
    },
  );
}

/**
 * What the process prints once it serves. @param stopping aborted once processes are asked to end
 * Errors when it ends before: its own as it told it, or UNAVAILABLE with the last that it said.
 */
function serving(
  name: string,
  child: ChildProcess,
  stopping: AbortSignal,
  log: Log,
): Promise<ProcessPorts> {
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const isAsked = stopping.aborted && (code === 0 || signal === 'SIGTERM');
      log[isAsked ? 'info' : 'error'](
        { operation: 'supervise', process: name, code, signal, stderr: said },
        'process ended',
      );
      const unknown = `${name} did not start (${signal ?? code}): ${said}`;
      reject(toldFailure(said) ?? new GigvaultError('UNAVAILABLE', unknown));
    });
    createInterface({ input: child.stdout as Readable }).once('line', (line) =>
      resolve(JSON.parse(line) as ProcessPorts),
    );
  });
}
