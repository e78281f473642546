import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { plainEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import type { Cluster } from './cluster.ts';
import { spawnAs } from './cluster.ts';
import type { SystemUser } from './system-user.ts';

const POLL = 4;
const START_LIMIT = 30_000;
/** A fast shutdown that takes longer than this becomes an immediate one; the next start then replays the log. */
const FAST_SHUTDOWN_LIMIT = 10_000;

/** Everything that a start of the server needs. */
export interface PostmasterOptions {
  readonly program: string;
  readonly cluster: Cluster;
  readonly socketDir: string;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly user: SystemUser | undefined;
  readonly log: Log;
}

/** A running server. */
export interface Postmaster {
  readonly pid: number;
  /** Resolves when the server is gone, asked for or not. */
  readonly gone: Promise<void>;
  /** Resolves when it is done. */
  stop(how: Shutdown): Promise<void>;
  /** Tells it to go, at once, and waits for nothing: for a process that exits. The next start replays the log. */
  abandon(): void;
}

/** `fast` writes everything out; `immediate` leaves it to the next start to replay the log. */
export type Shutdown = 'fast' | 'immediate';

/**
 * Starts the server and waits until it takes connections. Its log goes to a file, not to a pipe, so that it outlives this process
 * without harm. Errors: UNAVAILABLE with the end of that log.
 */
export async function startPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  const deadline = systemClock.now() + START_LIMIT;
  for (;;) {
    const logFile = await open(options.cluster.logFile, 'a', 0o600);
    const offset = (await logFile.stat()).size;
    const child = launch(options, logFile);
    await logFile.close();
    const ended = once(child, 'exit').then(() => undefined);
    ended.catch(() => undefined);
    if (await becomesReady(options.cluster.path, child, deadline))
      return postmaster(child, ended, options.log);
    const said = (await readFile(options.cluster.logFile)).subarray(offset).toString('utf8').trim();
    // Backends of a killed postmaster take a moment to notice and let go of the shared memory.
    const passing =
      said.includes('pre-existing shared memory block') && systemClock.now() < deadline;
    if (!passing) {
      throw new GigvaultError(
        'UNAVAILABLE',
        `PostgreSQL did not start. ${said.split('\n').slice(-5).join(' ')}`,
      );
    }
    await systemClock.sleep(50);
  }
}

/** Stops a server that a killed parent left behind on this cluster, and removes a pid file that names somebody else. */
export async function stopLeftPostmaster(cluster: Cluster, log: Log): Promise<void> {
  const pidFile = join(cluster.path, 'postmaster.pid');
  const pid = Number((await lines(pidFile))[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  if (!(await isPostmasterOf(pid, cluster.path))) {
    // PostgreSQL itself would refuse to start if the number now belongs to another process of the same user.
    await rm(pidFile, { force: true });
    return;
  }
  log.warn({ pid }, 'PostgreSQL was left running by a process that is gone; stopping it');
  await terminate(pid, 'fast', () => isPostmasterOf(pid, cluster.path).then((alive) => !alive));
}

function launch(options: PostmasterOptions, logFile: FileHandle): ChildProcess {
  const settings = Object.entries(options.settings).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  const args = [
    '-D',
    options.cluster.path,
    '-k',
    // A list of directories: quoted, one may have commas in its name.
    `"${options.socketDir.replaceAll('"', '""')}"`,
    '-p',
    String(options.port),
    ...settings,
  ];
  // A group of its own: Ctrl-C must reach this process first, so that it can drain before the database goes.
  const child = spawn(options.program, args, {
    ...spawnAs(options.user),
    detached: true,
    stdio: ['ignore', 'ignore', logFile.fd],
  });
  child.unref();
  return child;
}

function postmaster(child: ChildProcess, ended: Promise<void>, log: Log): Postmaster {
  const pid = child.pid!;
  let stopping = false;
  const gone = ended.then(() => {
    if (!stopping) log.error({ pid, exitCode: child.exitCode }, 'PostgreSQL ended by itself');
  });
  return {
    pid,
    gone,
    async stop(how) {
      stopping = true;
      await terminate(pid, how, async () => child.exitCode !== null || child.signalCode !== null);
      await gone;
    },
    abandon() {
      stopping = true;
      if (child.exitCode === null && child.signalCode === null) signal(pid, 'SIGQUIT');
    },
  };
}

/** True when the server says that it is ready; false when it ended. */
async function becomesReady(
  clusterPath: string,
  child: ChildProcess,
  deadline: number,
): Promise<boolean> {
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => undefined);
  while (systemClock.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    const pidFile = await lines(join(clusterPath, 'postmaster.pid'));
    if (Number(pidFile[0]) === child.pid && pidFile[7]?.trim() === 'ready') return true;
    await Promise.race([systemClock.sleep(POLL), failed]);
  }
  child.kill('SIGQUIT');
  return false;
}

async function terminate(
  pid: number,
  how: Shutdown,
  isGone: () => Promise<boolean>,
): Promise<void> {
  const patience = systemClock.now() + FAST_SHUTDOWN_LIMIT;
  signal(pid, how === 'fast' ? 'SIGINT' : 'SIGQUIT');
  let hurried = how === 'immediate';
  while (!(await isGone())) {
    if (!hurried && systemClock.now() > patience) {
      hurried = true;
      signal(pid, 'SIGQUIT');
    }
    await systemClock.sleep(POLL);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Whether `pid` is alive and is a PostgreSQL that serves this cluster: numbers are used again. */
async function isPostmasterOf(pid: number, clusterPath: string): Promise<boolean> {
  const command = await commandLine(pid);
  return command.includes(clusterPath) && /(^|\/)postgres(\s|\0)/.test(command);
}

async function commandLine(pid: number): Promise<string> {
  if (process.platform === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const { stdout } = await promisify(execFile)('ps', ['-p', String(pid), '-o', 'command='], {
    env: plainEnvironment(),
  }).catch(() => ({ stdout: '' }));
  return stdout;
}

async function lines(path: string): Promise<string[]> {
  return (await readFile(path, 'utf8').catch(() => '')).split('\n');
}
