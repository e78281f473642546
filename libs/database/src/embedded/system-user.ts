import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { plainEnvironment } from '@gigvault/config/process-environment';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** A user of this machine. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL's own user, made when it is not there. */
const OWN = 'gigvault';
/** Where none can be made. Other programs may run as these, and could read the superuser's password then. */
const SHARED = ['postgres', 'nobody'] as const;

const USERADD = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent'];

/**
 * The user that PostgreSQL must run as when this process is root, because it refuses to run as root; undefined otherwise. That is the owner
 * of the cluster, if there is one; else the system user `gigvault`, made by `useradd`; else `postgres` or `nobody`. A bare number would not
 * do: initdb looks the name up. Errors: UNAVAILABLE when there is none of these.
 */
export async function databaseUser(cluster: string): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const user =
    (await ownerOf(cluster)) ?? (await find([OWN])) ?? (await makeOwn()) ?? (await find(SHARED));
  if (user) return user;
  throw new GigvaultError(
    'UNAVAILABLE',
    `PostgreSQL refuses to run as root, and a user for it could not be made. Run: useradd ${USERADD.join(' ')} ${OWN}. Or run as another user.`,
  );
}

async function ownerOf(cluster: string): Promise<SystemUser | undefined> {
  const found = await stat(cluster).catch(() => undefined);
  if (found === undefined || found.uid === 0) return undefined;
  const [name = String(found.uid)] =
    (await users()).find(([, , uid]) => Number(uid) === found.uid) ?? [];
  return { name, uid: found.uid, gid: found.gid };
}

async function makeOwn(): Promise<SystemUser | undefined> {
  const shell = ['--shell', '/usr/sbin/nologin'];
  // It fails where there is no useradd, where /etc is read-only, and when another start is making the same user.
  await promisify(execFile)('useradd', [...USERADD, ...shell, OWN], {
    env: plainEnvironment(),
  }).catch(() => undefined);
  return find([OWN]);
}

async function find(names: readonly string[]): Promise<SystemUser | undefined> {
  const there = await users();
  for (const name of names) {
    const fields = there.find((line) => line[0] === name);
    if (fields) return { name, uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  return undefined;
}

/** The lines of /etc/passwd, split. */
async function users(): Promise<string[][]> {
  return (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
}

/** The first directory on the way to `path` that `user` may not pass through; undefined when the way is free. */
export async function blockedAt(path: string, user: SystemUser): Promise<string | undefined> {
  const ancestors: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    ancestors.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const ancestor of ancestors) {
    const { mode, uid, gid } = await stat(ancestor);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return ancestor;
  }
  return undefined;
}
