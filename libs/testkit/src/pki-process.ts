import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '@gigvault/rpc/free-ports';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { systemClock } from '@gigvault/time/clock';
import { killAll, processesOf } from './leftovers.ts';
import { type ProgramOptions, type ProgramResult, runProgram } from './run-program.ts';

/** The two ways to run. A scenario runs in both, but for what cannot depend on where processes end. */
export const MODES = ['one process', 'split'] as const;

/** One of MODES. */
export type Mode = (typeof MODES)[number];

/** A whole PKI, started as a user starts it, in a directory and on ports of its own. */
export interface PkiProcess {
  readonly mode: Mode;
  /** Everything of this PKI, and a place for a test's own files. */
  readonly home: string;
  readonly dataDir: string;
  readonly publicUrl: string;
  readonly statusUrl: string;
  readonly ports: Readonly<Record<'https' | 'grpc' | 'keyApi' | 'http' | 'http01', number>>;
  /** PEM file of the root. */
  readonly rootFile: string;
  /** What the last start printed on stdout. */
  output(): string;
  /** What the last start printed on stderr. */
  errors(): string;
  /** Milliseconds from the last start's command to its closing table. */
  startTime(): number;
  /** Resolves with the exit code, or the signal, once the main process is gone. */
  exited(): Promise<number | string>;
  /** SIGTERM, and waits for the end. Resolves with the exit code. */
  stop(): Promise<number | string>;
  /** SIGKILL of the main process and every service; the database stays, and the next start must cope with it. */
  kill(): Promise<void>;
  /** Starts again on the same data, with more flags. Rejects with the output when it does not come up. */
  start(...flags: string[]): Promise<void>;
  /** The same command to its end, with more flags: for starts that are refused. */
  tryStart(...flags: string[]): Promise<ProgramResult>;
  /** `gigvault <args>` with the context that `up` wrote. */
  cli(...args: string[]): Promise<ProgramResult>;
  /** `gigvault <args>` of another person on this machine. */
  cliOf(person: string, args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
  /** Ends everything and removes the files. */
  dispose(): Promise<void>;
}

/** The repository's root: from source and from a bundle alike. */
export const REPOSITORY = repositoryOf(dirname(fileURLToPath(import.meta.url)));

/** Where `npm run up` has it too. */
const COMPILE_CACHE = join(REPOSITORY, 'dist', '.compile-cache');
const CLOSING_LINE = /^ {2}(DEV|PRODUCTION) PROFILE/m;
const START_LIMIT = 90_000;
/** Room for two in one test: a block that ends too early would take the ports of the next process. */
const PORTS = { first: 22_000, block: 40, blocks: 250 };
/** Free ports that are looked at: the first are taken, and further on there is a run for split mode where others listen here and there. */
const CHOICE = 36;

/** Starts a fresh PKI. Rejects with its output when it does not come up in time. */
export async function startPki(mode: Mode, ...flags: string[]): Promise<PkiProcess> {
  const pki = await preparePki(mode, ...flags);
  try {
    await pki.start();
    return pki;
  } catch (error) {
    await pki.dispose();
    throw error;
  }
}

/** A place and ports for a PKI that is not started yet: for a first start that is special. */
export async function preparePki(mode: Mode, ...flags: string[]): Promise<PkiProcess> {
  const home = mkdtempSync(join(tmpdir(), 'gv-'));
  // As root, the database runs as a user of its own, which must be able to pass.
  chmodSync(home, 0o711);
  const ports = await choosePorts();
  const dataDir = join(home, 'data');
  const environment = environmentOf(join(home, 'config'));
  const data = flags.includes('--ephemeral') ? [] : ['--data-dir', dataDir];
  const command = [...upCommand(mode, ports), ...data, ...flags];
  let main: Start | undefined;

  const exited = () => main?.exited ?? Promise.resolve('not started');
  const pki: PkiProcess = {
    mode,
    home,
    dataDir,
    publicUrl: `https://localhost:${ports.https}`,
    statusUrl: `http://localhost:${ports.http}`,
    ports,
    rootFile: join(dataDir, 'root', 'root.crt'),
    output: () => main?.output() ?? '',
    errors: () => main?.errors() ?? '',
    startTime: () => main?.startTime() ?? 0,
    exited,
    stop() {
      main?.child.kill('SIGTERM');
      return exited();
    },
    async kill() {
      main?.child.kill('SIGKILL');
      await exited();
      await killAll(processesOf(dataDir, 'services'));
    },
    start(...more) {
      main = startUp([...command, ...more], environment, home);
      return main.ready;
    },
    tryStart: (...more) =>
      runProgram(process.execPath, [...command, ...more], { env: environment, cwd: home }),
    cli: (...args) => runProgram(CLI, args, { env: environment, cwd: home }),
    cliOf(person, args, options = {}) {
      const folder = join(home, person);
      mkdirSync(folder, { recursive: true });
      return runProgram(CLI, args, { env: environmentOf(folder), cwd: folder, ...options });
    },
    async dispose() {
      await pki.kill();
      await killAll(processesOf(dataDir, 'services and database'));
      rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  return pki;
}

/** Free ports. From `grpc` on there are as many as services: split mode takes them all. */
async function choosePorts(): Promise<PkiProcess['ports']> {
  const services = SERVICE_NAMES.length;
  const free = await freePorts(CHOICE, PORTS);
  const grpc = free.find(
    (port) => free.filter((p) => p >= port && p < port + services).length === services,
  );
  const [https, http, http01, keyApi] = free.filter(
    (p) => p < (grpc ?? 0) || p >= (grpc ?? 0) + services,
  );
  if (grpc === undefined) throw new Error('there are no free ports');
  return { https, grpc, keyApi, http, http01 } as PkiProcess['ports'];
}

/** On which a process writes a snapshot of its heap into the PKI's home. */
export const SNAPSHOT_SIGNAL = 'SIGUSR2';

const CLI = join(REPOSITORY, 'services', 'cli', 'bin', 'gigvault');

/** What the launchers say to Node (services/cli/bin/gigvault). */
export const NODE_FLAGS: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=32',
];

/** The command line of `up` in this mode, without the node program. `--encode-in-process`: as on the wire. */
function upCommand(mode: Mode, ports: PkiProcess['ports']): string[] {
  return [
    ...NODE_FLAGS,
    join(REPOSITORY, 'dist', 'gigvault.js'),
    'up',
    ...['--metrics-port', '0', '--encode-in-process', 'true'],
    ...['--https-port', `${ports.https}`, '--grpc-port', `${ports.grpc}`],
    ...['--grpc-address', `:${ports.keyApi}`],
    ...['--http-port', `${ports.http}`, '--ra-http01-port', `${ports.http01}`],
    ...(mode === 'split' ? ['--split'] : []),
  ];
}

/** Nothing of the tester's own configuration may reach what is tested. */
function environmentOf(configHome: string): Record<string, string | undefined> {
  const own = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('GIGVAULT_') && name !== 'NODE_OPTIONS',
  );
  return {
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    // What a process holds in memory can be looked at: on this signal it writes a snapshot to where it runs.
    NODE_OPTIONS: `--heapsnapshot-signal=${SNAPSHOT_SIGNAL}`,
    ...Object.fromEntries(own),
    XDG_CONFIG_HOME: configHome,
  };
}

interface Start {
  readonly child: ChildProcess;
  /** Resolves at the closing table. */
  readonly ready: Promise<void>;
  readonly exited: Promise<number | string>;
  output(): string;
  errors(): string;
  startTime(): number;
}

function startUp(
  command: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Start {
  const begin = performance.now();
  const child = spawn(process.execPath, command, {
    env: env as NodeJS.ProcessEnv,
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | string);
  let output = '';
  let errors = '';
  let startTime = 0;
  const printed = new Promise<void>((resolve) => {
    child.stdout.on('data', (text: Buffer) => {
      output += text.toString();
      if (startTime > 0 || !CLOSING_LINE.test(output)) return;
      startTime = performance.now() - begin;
      resolve();
    });
  });
  child.stderr.on('data', (text: Buffer) => {
    errors += text.toString();
  });
  const timer = new AbortController();
  const failed = (why: string) => () => {
    throw new Error(`${why}:\n${errors}${output}`);
  };
  const ready = Promise.race([
    printed,
    exited.then((how) => failed(`the start ended with ${how}`)()),
    systemClock
      .sleep(START_LIMIT, timer.signal)
      .then(failed(`no closing table within ${START_LIMIT} ms`)),
  ]).finally(() => timer.abort());
  return {
    child,
    ready,
    exited,
    output: () => output,
    errors: () => errors,
    startTime: () => startTime,
  };
}

function repositoryOf(folder: string): string {
  if (existsSync(join(folder, 'pnpm-workspace.yaml'))) return folder;
  if (folder === dirname(folder)) throw new Error('this is not in the repository');
  return repositoryOf(dirname(folder));
}
