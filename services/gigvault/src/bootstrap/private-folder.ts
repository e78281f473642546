import { accessSync, chmodSync, constants, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** As root, PostgreSQL runs as a user of its own, which must pass through (not list) what lies above its files. */
const PASSABLE = process.getuid?.() === 0 ? 0o711 : 0o700;
const PRIVATE = 0o700;

/**
 * Makes the folder of everything, and what is missing above it; one that is there must be this user's, and nobody else may
 * write in it: what lies there will be believed. Errors: INVALID_ARGUMENT saying what stands in the way and what to do.
 *
 * @param made gets the folders that were not there, the outermost first
 */
export function makeDataFolder(path: string, made: string[] = []): void {
  const refuse = (why: string, cause?: unknown) => {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The data directory ${path} cannot be used: ${why}. Choose another with --data-dir.`,
      { cause },
    );
  };
  try {
    makeWithParents(path, made);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    refuse(reasonOf(error as NodeJS.ErrnoException, path), error);
  }
  const { uid, mode } = statSync(path);
  if (uid !== process.getuid?.())
    refuse(`it belongs to another user (${uid}). Run as that user, or chown it`);
  if ((mode & 0o022) !== 0)
    refuse(`others may write in it. If it is yours alone, chmod go-w ${path}`);
}

/** Makes a folder in it that its owner alone can read, or makes sure that the one that is there is so. Errors: as makeDataFolder. */
export function makePrivateFolder(path: string, made: string[] = []): void {
  const refuse = (why: string, cause?: unknown) => {
    throw new GigvaultError('INVALID_ARGUMENT', `${path} cannot be used: ${why}.`, { cause });
  };
  try {
    make(path, PRIVATE, made);
  } catch (error) {
    refuse(reasonOf(error as NodeJS.ErrnoException, path), error);
  }
  const { uid, mode } = statSync(path);
  if (uid !== process.getuid?.()) refuse(`it belongs to another user (${uid})`);
  if ((mode & 0o077) !== 0) refuse(`it is open to others; chmod 700 ${path}`);
}

/** Not mkdir's own `recursive`: in /proc, where folders can be made of no name, that tries for ever. */
function makeWithParents(path: string, made: string[]): void {
  const parent = dirname(path);
  if (parent !== path && statSync(parent, { throwIfNoEntry: false }) === undefined)
    makeWithParents(parent, made);
  make(path, PASSABLE, made);
}

/** The mode is set again: the umask takes away from what mkdir is given. */
function make(path: string, mode: number, made: string[]): void {
  try {
    mkdirSync(path, { mode });
    made.push(path);
    chmodSync(path, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!statSync(path).isDirectory())
      throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' });
  }
}

/** Removes those of these folders that are empty, the last first; what it has removed leaves the list. */
export function removeEmptyFolders(made: string[]): void {
  for (const path of made.splice(0).reverse()) {
    try {
      rmdirSync(path);
    } catch {
      // It holds something, or is gone. Nothing depends on its absence.
      made.unshift(path);
    }
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException, path: string): string {
  switch (code) {
    case 'ENOTDIR':
      return `${nearestThere(path)} is a file, not a directory`;
    case 'EACCES':
    case 'EPERM':
      return `this user may not write in ${nearestThere(path)}`;
    case 'EROFS':
      return 'the file system is read-only';
    case 'ENOENT':
      return `no folder can be made in ${nearestThere(path)}`;
    case 'ENAMETOOLONG':
      return 'the path, or a name in it, is too long';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return message;
  }
}

/** The path, or what is there of the way to it. */
function nearestThere(path: string): string {
  try {
    if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path;
  } catch {
    // Something on the way is no folder, or may not be entered: it is further up.
  }
  return path === dirname(path) ? path : nearestThere(dirname(path));
}
