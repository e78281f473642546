import { type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { plainEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { PostgresBinaries } from './binaries.ts';
import { blockedAt, type SystemUser } from './system-user.ts';

/** The superuser that initdb makes. */
export const ADMIN_USER = 'gigvault_admin';

/** The parts of a data directory. */
export interface Cluster {
  /** PGDATA. */
  readonly path: string;
  readonly logFile: string;
  readonly adminPassword: string;
}

/** PGDATA of a data directory. */
export function clusterPath(dataDir: string): string {
  return join(dataDir, 'cluster');
}

/** The superuser's password of a data directory, once its cluster is made. */
export function adminPasswordFile(dataDir: string): string {
  return join(dataDir, 'admin-password');
}

/** Options of a child process that runs as `user`, in a directory that everybody can enter, and without this process's secrets. */
export function spawnAs(
  user: SystemUser | undefined,
): Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> {
  return { cwd: '/', env: plainEnvironment(), ...(user && { uid: user.uid, gid: user.gid }) };
}

/**
 * Makes `dataDir` (0700, owned by `user`). Its parent is GigVault's own and is opened for passing through (not for listing) when `user`
 * could not get to `dataDir` otherwise. Errors: INVALID_ARGUMENT when a directory further up stands in the way.
 */
export async function prepareDataDir(dataDir: string, user?: SystemUser): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await chmod(dataDir, 0o700);
  if (!user) return;
  await chown(dataDir, user.uid, user.gid);
  const parent = dirname(dataDir);
  if ((await blockedAt(dataDir, user)) === parent) {
    await chmod(parent, (await stat(parent)).mode | 0o011);
  }
  const blocked = await blockedAt(dataDir, user);
  if (blocked) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `PostgreSQL runs as the system user ${user.name}, which may not enter ${blocked}. Choose another --data-dir, or chmod o+x ${blocked}.`,
    );
  }
}

/**
 * Initialises the cluster unless it is there. initdb works beside and the result is renamed into place, so that a crash leaves nothing half.
 * Errors: INVALID_ARGUMENT when the cluster is of another major version.
 */
export async function prepareCluster(
  dataDir: string,
  binaries: PostgresBinaries,
  user?: SystemUser,
): Promise<Cluster> {
  const path = clusterPath(dataDir);
  const passwordFile = adminPasswordFile(dataDir);
  const found = await majorVersion(path);
  if (found !== undefined && found !== binaries.major) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `${path} was made by PostgreSQL ${found}; this version of GigVault brings PostgreSQL ${binaries.major}.`,
    );
  }
  if (found === undefined) await initialise(path, passwordFile, binaries, user);
  return {
    path,
    logFile: join(dataDir, 'postgres.log'),
    adminPassword: (await readFile(passwordFile, 'utf8')).trim(),
  };
}

/** Makes `path` a 0700 directory of `user`, or checks that it already is one: it may stand in a directory where others write. */
export async function prepareSocketDir(path: string, user?: SystemUser): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  if (made !== undefined && user) await chown(path, user.uid, user.gid);
  const owner = user?.uid ?? process.getuid?.();
  const found = await lstat(path);
  if (!found.isDirectory() || found.uid !== owner || (found.mode & 0o077) !== 0) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `${path} is not a directory of mode 0700 that belongs to user id ${owner}.`,
    );
  }
}

async function initialise(
  path: string,
  passwordFile: string,
  binaries: PostgresBinaries,
  user?: SystemUser,
): Promise<void> {
  const half = `${path}.new`;
  await rm(half, { recursive: true, force: true });
  await writeFile(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  if (user) await chown(passwordFile, user.uid, user.gid);
  const locale = [
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  ];
  const access = [`--username=${ADMIN_USER}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
  try {
    await run(
      binaries.initdb,
      [`--pgdata=${half}`, ...locale, ...access, '--no-instructions'],
      user,
    );
  } catch (cause) {
    await rm(passwordFile, { force: true });
    const why = `initdb failed in ${half}. ${(cause as Error).message}`;
    throw new GigvaultError('UNAVAILABLE', why.trim(), { cause });
  }
  await rename(half, path);
}

async function majorVersion(path: string): Promise<number | undefined> {
  const text = await readFile(join(path, 'PG_VERSION'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

/** To its end. Errors: what it said on stderr. */
async function run(program: string, args: readonly string[], user?: SystemUser): Promise<void> {
  // A group of its own: Ctrl-C on the terminal reaches this process alone, which lets it end and stops then.
  const child = spawn(program, args, {
    ...spawnAs(user),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
  const [how, said] = await Promise.all([ended, text(child.stderr)]);
  if (how !== 0) throw new Error(said.trim() || `It ended with ${how}.`);
}
