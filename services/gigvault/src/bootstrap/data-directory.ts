import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { writeFileDurably } from '@gigvault/files/durable-file';
import type { IdentityFiles } from '@gigvault/host/identity-files';
import type { PeerName, ServiceName } from '@gigvault/rpc/service-name';
import type { ProcessPorts } from '../composition/split-ports.ts';
import { makeDataFolder, makePrivateFolder, removeEmptyFolders } from './private-folder.ts';

/** Where everything of one installation lies. */
export interface DataDirectory {
  readonly path: string;
  readonly postgres: string;
  readonly secrets: string;
  /** Root certificate, root CRL, encrypted root key, plan, transcript. */
  readonly root: string;
  /** In `root`: the plan that the root signs by. */
  readonly rootPlan: string;
  /** In `root`, PEM; stored last of all that is there. */
  readonly rootCertificate: string;
  /** In `root`, PEM. */
  readonly rootCrl: string;
  /** Which external database it has, see DatabaseNote. */
  readonly databaseNote: string;
  readonly logFile: string;
  /** Written by `up` while it runs: who it is and where it listens. */
  readonly runFile: string;
  of(service: ServiceName): string;
  /** Removes the folders, and the log, that this process has made and that hold nothing: a start that failed leaves it as it was. */
  removeEmpty(): void;
  identity(peer: PeerName): IdentityFiles;
  /** TLS key and certificate of the public listener. */
  readonly edge: { readonly certificate: string; readonly privateKey: string };
}

/** Who runs on a data directory, and where it listens. */
export interface RunningInstance {
  readonly pid: number;
  /** Start of that process in clock ticks since boot, so that a reused pid is not taken for it. */
  readonly startTicks: string;
  readonly publicUrl?: string;
  readonly statusUrl?: string;
  readonly adminPort?: number;
  /** Where the database listens: the socket's directory, or a host. */
  readonly database?: { readonly host: string; readonly port: number };
  /** Split mode: where each process listens. */
  readonly services?: readonly ProcessPorts[];
}

/**
 * Makes the directories, readable by their owner only. Errors: INVALID_ARGUMENT saying what stands in the way and what to do.
 */
export function openDataDirectory(path: string): DataDirectory {
  const made: string[] = [];
  try {
    return openFolders(path, made);
  } catch (error) {
    removeEmptyFolders(made);
    throw error;
  }
}

function openFolders(path: string, made: string[]): DataDirectory {
  makeDataFolder(path, made);
  const folder = (name: string) => {
    const full = join(path, name);
    makePrivateFolder(full, made);
    return full;
  };
  const tls = folder('tls');
  const postgres = join(path, 'pg');
  const logFile = join(folder('logs'), 'gigvault.log');
  const hadLog = existsSync(logFile);
  // Whoever makes it later does so for this start.
  if (!existsSync(postgres)) made.push(postgres);
  return {
    path,
    postgres,
    secrets: folder('secrets'),
    root: folder('root'),
    rootPlan: join(path, 'root', 'plan.yaml'),
    rootCertificate: join(path, 'root', 'root.crt'),
    rootCrl: join(path, 'root', 'root.crl'),
    databaseNote: join(path, 'database.json'),
    logFile,
    runFile: join(path, 'run.json'),
    of: (service) => {
      folder('services');
      return folder(join('services', service));
    },
    identity: (peer) => ({
      servicesCa: join(tls, 'services-ca.crt'),
      certificate: join(tls, `${peer}.crt`),
      privateKey: join(tls, `${peer}.key`),
    }),
    edge: { certificate: join(tls, 'public.crt'), privateKey: join(tls, 'public.key') },
    removeEmpty() {
      if (!hadLog && statSync(logFile, { throwIfNoEntry: false })?.size === 0) rmSync(logFile);
      removeEmptyFolders(made);
    },
  };
}

/**
 * Takes the directory for this process, or returns who has it. A file left by a process that is gone is taken over.
 */
export function claimDataDirectory(directory: DataDirectory): RunningInstance | undefined {
  const mine: RunningInstance = { pid: process.pid, startTicks: startTicks(process.pid) ?? '' };
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(directory.runFile, JSON.stringify(mine), { flag: 'wx', mode: 0o600 });
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = readRunFile(directory);
    if (holder !== undefined && startTicks(holder.pid) === holder.startTicks) return holder;
    rmSync(directory.runFile, { force: true });
  }
  throw new GigvaultError('CONFLICT', `Another start has just taken ${directory.path}.`);
}

/** Tells others where this process listens. */
export async function announce(
  directory: DataDirectory,
  where: Omit<RunningInstance, 'pid' | 'startTicks'>,
): Promise<void> {
  const mine: RunningInstance = {
    pid: process.pid,
    startTicks: startTicks(process.pid) ?? '',
    ...where,
  };
  // In one step: a second start that reads half of it would take the directory for free.
  await writeFileDurably(directory.runFile, JSON.stringify(mine), 0o600);
}

/** Gives the directory back. */
export function releaseDataDirectory(directory: DataDirectory): void {
  if (readRunFile(directory)?.pid === process.pid) rmSync(directory.runFile, { force: true });
}

function readRunFile(directory: DataDirectory): RunningInstance | undefined {
  try {
    return JSON.parse(readFileSync(directory.runFile, 'utf8')) as RunningInstance;
  } catch {
    // Missing, or cut short by a crash while it was written: nobody holds it either way.
    return undefined;
  }
}

/** Identifies a process beyond its pid; undefined when it does not run. */
function startTicks(pid: number): string | undefined {
  try {
    // Field 22 of /proc/<pid>/stat, counted after the command's name, which may hold spaces.
    if (process.platform === 'linux')
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19];
    process.kill(pid, 0);
    return 'running';
  } catch (error) {
    // A process of another user runs all the same.
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'running' : undefined;
  }
}
