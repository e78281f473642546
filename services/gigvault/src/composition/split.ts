import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/host/atomic-file';
import { installationRoot } from '@gigvault/host/home';
import { SERVICE_NAMES, type ServiceName } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import { stringify } from 'yaml';
import type { DataDirectory } from '../bootstrap/data-directory.ts';
import type { Secrets } from '../bootstrap/secrets.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';

/** A process of split mode. */
export interface SplitProcess {
  readonly name: ServiceName | 'edge';
  /** The ports that it printed. */
  readonly ports: Readonly<Record<string, number>>;
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

/** Starts one process per service, each with its own configuration file, and the edge proxy; a process that dies is started again. */
export async function startSplit(options: SplitOptions): Promise<SplitSuite> {
  const grpcPorts = await freePorts(SERVICE_NAMES.length);
  const httpsPorts = await freePorts(SERVICE_NAMES.length);
  const byService = (ports: readonly number[]) =>
    Object.fromEntries(SERVICE_NAMES.map((name, i) => [name, `127.0.0.1:${ports[i]}`])) as Record<
      ServiceName,
      string
    >;
  const addresses = byService(grpcPorts);
  const upstreams = byService(httpsPorts);
  const processes = new Map<string, SplitProcess>();
  let stopping = false;

  async function launch(name: ServiceName | 'edge', configFile: string): Promise<void> {
    const { child, ports } = await spawnProgram(name, configFile, options.log);
    processes.set(name, { name, ports, child });
    child.once('exit', (code, signal) => {
      if (stopping) return;
      options.log.error(
        { operation: 'supervise', process: name, code, signal },
        'process ended; starting it again',
      );
      const timer = setTimeout(() => {
        launch(name, configFile).catch((error) =>
          options.log.error({ error, process: name }, 'process could not be started again'),
        );
      }, RESTART_DELAY);
      timer.unref();
    });
  }

  const files = writeConfigs(options, addresses, upstreams);
  await Promise.all(SERVICE_NAMES.map((name) => launch(name, files[name])));
  await launch('edge', files.edge);
  return {
    addresses,
    processes: () => [...processes.values()],
    async stop() {
      stopping = true;
      const edge = processes.get('edge');
      if (edge) await end(edge.child);
      await Promise.all([...processes.values()].map(({ child }) => end(child)));
    },
  };
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
      https: hostAndPort(upstreams[name]),
      tls: directory.identity(name),
      adminToken: secrets.reference('admin-token'),
      addresses,
      service: sectionOf(options, name),
      ...faultOf(config, name),
    };
    return [name, write(name, content)] as const;
  });
  const edge = write('edge', {
    ...shared,
    host: config.host,
    https: config.https,
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

/** A fault goes to the service whose step it names. */
function faultOf(config: GigvaultConfig, name: ServiceName): { faults?: string } {
  return config.faults?.startsWith(`${name}.`) ? { faults: config.faults } : {};
}

function hostAndPort(address: string): { host: string; port: number } {
  const [host, port] = address.split(':') as [string, string];
  return { host, port: Number(port) };
}

function spawnProgram(
  name: string,
  configFile: string,
  log: Log,
): Promise<{ child: ChildProcess; ports: Record<string, number> }> {
  const program = join(installationRoot(), 'dist', `${name}.js`);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', program, '--config', configFile],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group: Ctrl-C on the terminal reaches the supervisor alone, which drains in order.
      detached: true,
    },
  );
  let errors = '';
  child.stderr.on('data', (text: Buffer) => {
    errors = (errors + text.toString()).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      log.error({ process: name, code, signal, stderr: errors }, 'process ended');
      reject(
        new GigvaultError(
          'UNAVAILABLE',
          `${name} did not start (${signal ?? code}): ${errors.trim().split('\n').at(-1) ?? ''}`,
        ),
      );
    });
    child.stdout.once('data', (text: Buffer) =>
      resolve({ child, ports: JSON.parse(text.toString().split('\n', 1)[0] as string) }),
    );
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await exited;
}

/** Ports that are free now, each different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
