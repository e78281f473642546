import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installationRoot } from '@gigvault/host/home';

/** The two ways to run; every system scenario runs in both. */
export const MODES = ['one process', 'split'] as const;

/** One of MODES. */
export type Mode = (typeof MODES)[number];

/** A whole PKI, started as a user starts it, in a directory and on ports of its own. */
export interface PkiProcess {
  readonly mode: Mode;
  readonly dataDir: string;
  /** XDG_CONFIG_HOME of whoever started it: the CLI's context is here. */
  readonly configHome: string;
  readonly publicUrl: string;
  readonly statusUrl: string;
  readonly ports: Readonly<Record<'https' | 'grpc' | 'http' | 'http01', number>>;
  /** PEM file of the root. */
  readonly rootFile: string;
  /** What the last start printed on stdout. */
  output(): string;
  /** What the last start printed on stderr. */
  errors(): string;
  /** Milliseconds from the last start's command to its closing table. */
  startTime(): number;
  /** Resolves with the exit code once the main process is gone. */
  exited(): Promise<number | string>;
  /** SIGTERM, and waits for the end. Resolves with the exit code. */
  stop(): Promise<number | string>;
  /** SIGKILL of the main process and everything that it started but the database, which the next start must cope with. */
  kill(): Promise<void>;
  /** Starts again on the same data, with more flags. Rejects with the output when it does not come up. */
  start(...flags: string[]): Promise<void>;
  /** `gigvault <args>` with this PKI's context. Never rejects: the exit code tells. */
  cli(...args: string[]): CliResult;
  /** Ends everything and removes the directories. */
  dispose(): Promise<void>;
}

/** What a command said. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The repository's root. */
export const REPOSITORY = installationRoot();

const CLOSING_LINE = /^ {2}(DEV|PRODUCTION) PROFILE/m;
const START_LIMIT = 60_000;

/** Starts a fresh PKI. Rejects with its output when it does not come up within a minute. */
export async function startPki(mode: Mode, ...flags: string[]): Promise<PkiProcess> {
  const home = mkdtempSync(join(tmpdir(), 'gv-'));
  // As root, PostgreSQL runs as a user of its own, which must be able to pass through.
  chmodSync(home, 0o711);
  const [https, grpc, http, http01] = (await freePorts(4)) as [number, number, number, number];
  const dataDir = join(home, 'data');
  const configHome = join(home, 'config');
  const environment = { ...process.env, XDG_CONFIG_HOME: configHome, NODE_OPTIONS: '' };
  let main: ChildProcess | undefined;
  let output = '';
  let errors = '';
  let startTime = 0;

  async function start(...more: string[]): Promise<void> {
    output = '';
    errors = '';
    const begin = performance.now();
    const args = [
      '--disable-warning=ExperimentalWarning',
      join(REPOSITORY, 'dist', 'gigvault.js'),
      'up',
      ...[
        '--data-dir',
        dataDir,
        '--https-port',
        `${https}`,
        '--grpc-port',
        `${grpc}`,
        '--http-port',
        `${http}`,
      ],
      ...['--ra-http01-port', `${http01}`, '--metrics-port', '0', '--encode-in-process', 'true'],
      ...(mode === 'split' ? ['--split'] : []),
      ...flags,
      ...more,
    ];
    const child = spawn(process.execPath, args, {
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    main = child;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no closing table within ${START_LIMIT} ms:\n${errors}${output}`)),
        START_LIMIT,
      );
      child.stderr.on('data', (text: Buffer) => {
        errors += text.toString();
      });
      child.stdout.on('data', (text: Buffer) => {
        output += text.toString();
        if (!CLOSING_LINE.test(output)) return;
        clearTimeout(timer);
        startTime = performance.now() - begin;
        resolve();
      });
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`the start ended with ${signal ?? code}:\n${errors}${output}`));
      });
    });
  }

  const exited = () =>
    new Promise<number | string>((resolve) => {
      if (main === undefined) resolve('not started');
      else if (main.exitCode !== null || main.signalCode !== null)
        resolve(main.signalCode ?? main.exitCode ?? '');
      else main.once('exit', (code, signal) => resolve(signal ?? code ?? ''));
    });

  const pki: PkiProcess = {
    mode,
    dataDir,
    configHome,
    publicUrl: `https://localhost:${https}`,
    statusUrl: `http://localhost:${http}`,
    ports: { https, grpc, http, http01 },
    rootFile: join(dataDir, 'root', 'root.crt'),
    output: () => output,
    errors: () => errors,
    startTime: () => startTime,
    exited,
    stop() {
      const end = exited();
      main?.kill('SIGTERM');
      return end;
    },
    async kill() {
      const end = exited();
      main?.kill('SIGKILL');
      await end;
      for (const pid of leftovers(dataDir)) killQuietly(pid);
    },
    start,
    cli: (...args) => runCli(args, environment),
    async dispose() {
      await pki.kill();
      for (const pid of leftovers(dataDir, 'with the database')) killQuietly(pid);
      rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  try {
    await start();
    return pki;
  } catch (error) {
    await pki.dispose();
    throw error;
  }
}

/** Ports that are free now, each different. */
export async function freePorts(count: number): Promise<number[]> {
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

function runCli(args: readonly string[], env: NodeJS.ProcessEnv): CliResult {
  try {
    const stdout = execFileSync(join(REPOSITORY, 'services', 'cli', 'bin', 'gigvault'), args, {
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 30_000,
    });
    return { code: 0, stdout, stderr: '' };
  } catch (error) {
    const failed = error as { status?: number; stdout?: string; stderr?: string };
    return { code: failed.status ?? -1, stdout: failed.stdout ?? '', stderr: failed.stderr ?? '' };
  }
}

/** Processes that belong to this data directory by their command line: services of split mode, and the database if asked. */
function leftovers(dataDir: string, withDatabase?: 'with the database'): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const own = lines
    .filter((line) => line.includes(`--config ${dataDir}/`))
    .map((line) => Number.parseInt(line, 10));
  const pidFile = join(dataDir, 'pg', 'cluster', 'postmaster.pid');
  if (!withDatabase || !existsSync(pidFile)) return own;
  return [...own, Number.parseInt(readFileSync(pidFile, 'utf8'), 10)];
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
