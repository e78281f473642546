import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { processEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/host/atomic-file';
import { installationRoot } from '@gigvault/host/home';
import { freePorts } from '@gigvault/rpc/free-ports';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import { stringify } from 'yaml';
import type { DataDirectory } from '../bootstrap/data-directory.ts';
import type { Secrets } from '../bootstrap/secrets.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** A process of split mode. */
export interface SplitProcess {
  readonly name: ServiceName | 'edge';
  readonly child: ChildProcess;
}

/** The processes of split mode. */
export interface SplitSuite {
  readonly addresses: Readonly<Record<ServiceName, string>>;
  processes(): readonly SplitProcess[];
  /** Ends every process with SIGTERM, the edge first, and waits for it. */
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
  readonly database: { readonly host: string; readonly port: number; readonly name: string };
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
  const ports = await freePorts(2 * SERVICE_NAMES.length, PORTS);
  const addresses = byService(ports);
  const files = writeConfigs(options, addresses, byService(ports.slice(SERVICE_NAMES.length)));
  const processes = new Map<SplitProcess['name'], SplitProcess>();
  const stopping = new AbortController();

  async function launch(name: SplitProcess['name']): Promise<void> {
    const child = spawnProgram(name, files[name]);
    processes.set(name, { name, child });
    await serving(name, child, options.log);
    child.once('exit', () => void relaunch(name));
  }

  /** Until it runs, or everything stops. */
  async function relaunch(name: SplitProcess['name']): Promise<void> {
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

  async function stop(): Promise<void> {
    stopping.abort();
    const edge = processes.get('edge');
    if (edge) await end(edge.child);
    await Promise.all([...processes.values()].map(({ child }) => end(child)));
  }

  try {
    await Promise.all(SERVICE_NAMES.map(launch));
    await launch('edge');
  } catch (error) {
    await stop();
    throw error;
  }
  return { addresses, processes: () => [...processes.values()], stop };
}

function byService(ports: readonly number[]): Record<ServiceName, string> {
  return Object.fromEntries(
    SERVICE_NAMES.map((name, i) => [name, `127.0.0.1:${ports[i]}`]),
  ) as Record<ServiceName, string>;
}

function writeConfigs(
  options: SplitOptions,
  addresses: Record<ServiceName, string>,
  upstreams: Record<ServiceName, string>,
): Record<ServiceName | 'edge', string> {
  const { config, directory, secrets } = options;
  const shared = {
    environment: config.environment,
    trustDomain: config.trustDomain,
    log: { level: config.log.level, file: directory.logFile },
    // Ports of operators' listeners are free ones: ten processes cannot share the configured one.
    admin: { port: 0 },
    metrics: { address: config.metrics.address, port: 0 },
    tracing: config.tracing,
    ...(config.faults === undefined ? {} : { faults: config.faults }),
    publicUrl: options.publicUrl,
  };
  const write = (name: ServiceName | 'edge', content: object): string => {
    const file = join(directory.path, 'services', `${name}.yaml`);
    writeFileDurably(file, stringify(content, { aliasDuplicateObjects: false }), 0o600);
    return file;
  };
  const files = SERVICE_NAMES.map((name) => {
    const content = {
      ...shared,
      dataDir: directory.of(name),
      database: { ...options.database, password: secrets.reference(`database-${name}`) },
      grpc: hostAndPort(addresses[name]),
      https: { ...config.https, ...hostAndPort(upstreams[name]) },
      tls: directory.identity(name),
      adminToken: secrets.reference('admin-token'),
      addresses,
      service: sectionOf(options, name),
    };
    return [name, write(name, content)] as const;
  });
  const edge = write('edge', {
    ...shared,
    host: config.host,
    https: { port: config.https.port },
    http: config.http,
    tls: directory.identity('edge'),
    publicCertificate: directory.edge,
    upstreams,
    addresses,
  });
  return { ...(Object.fromEntries(files) as Record<ServiceName, string>), edge };
}

function sectionOf(options: SplitOptions, name: ServiceName): unknown {
  const section = (options.sections[name] ?? {}) as object;
  return name === 'crl' ? { rootCrlFile: options.directory.rootCrl, ...section } : section;
}

function hostAndPort(address: string): { host: string; port: number } {
  const [host, port] = address.split(':') as [string, string];
  return { host, port: Number(port) };
}

function spawnProgram(name: string, configFile: string): ChildProcess {
  const program = join(installationRoot(), 'dist', `${name}.js`);
  return spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, '--supervised', '--config', configFile],
    {
      // Its stdin ends with this process, however that ends, and then it stops too.
      stdio: ['pipe', 'pipe', 'pipe'],
      // Its file holds what the variables said; they mean this process, not that one.
      env: Object.fromEntries(
        Object.entries(processEnvironment).filter(([name]) => !name.startsWith('GIGVAULT_')),
      ),
      // Its own process group: Ctrl-C on the terminal reaches the supervisor alone, which drains in order.
      detached: true,
    },
  );
}

/** Resolves when the process has printed its ports. Errors: UNAVAILABLE with the last that it said when it ends before. */
function serving(name: string, child: ChildProcess, log: Log): Promise<void> {
  let said = '';
  child.stderr?.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      log.error(
        { operation: 'supervise', process: name, code, signal, stderr: said },
        'process ended',
      );
      const why = /^error: (.*?)( {3}GV-.*)?$/m.exec(said)?.[1];
      reject(
        new GigvaultError(
          'UNAVAILABLE',
          why ?? `${name} did not start (${signal ?? code}): ${said}`,
        ),
      );
    });
    child.stdout?.once('data', () => resolve());
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await exited;
}
