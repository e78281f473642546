import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** A user of this machine. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

const CANDIDATES = ['postgres', 'nobody'] as const;

/**
 * The user that PostgreSQL must run as when this process is root, because it refuses to run as root; undefined otherwise.
 * It must stand in /etc/passwd: initdb looks the name up. Errors: UNAVAILABLE when there is neither `postgres` nor `nobody`.
 */
export async function databaseUser(): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of CANDIDATES) {
    const fields = lines.find((line) => line[0] === name);
    if (fields) return { name, uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new GigvaultError(
    'UNAVAILABLE',
    'PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor `nobody`. Run as another user.',
  );
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
