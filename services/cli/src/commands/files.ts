import { randomUUID } from 'node:crypto';
import { access, link, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CliFailure } from '../failure.ts';
import type { Terminal } from '../terminal.ts';

/** A file that is written but does not have its name yet. */
export interface Draft {
  readonly path: string;
  /** Gives it its name. Fails when the name is taken, unless replacing was asked for. */
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** The text of a file that the user named. */
export async function readInput(terminal: Terminal, path: string): Promise<string> {
  return readFile(resolve(terminal.cwd, path), 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? 'it does not exist' : cause.message;
    throw new CliFailure(`cannot read ${path}: ${why}`, { code: 'INVALID_ARGUMENT', cause });
  });
}

/** Fails with exit 6 when one of the files exists, unless they may be replaced. */
export async function refuseExisting(paths: readonly string[], force: boolean): Promise<void> {
  if (force) return;
  for (const path of paths) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) throw alreadyThere(path);
  }
}

/** Writes the content to the disk under a name of its own, so that nothing half-written is ever seen under the real one. */
export async function draftFile(
  path: string,
  content: string,
  mode: number,
  force: boolean,
): Promise<Draft> {
  const draft = `${path}.${randomUUID()}.part`;
  try {
    const file = await open(draft, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new CliFailure(`cannot write in ${dirname(path)}: ${(cause as Error).message}`, {
      code: 'INVALID_ARGUMENT',
      cause,
    });
  }
  return {
    path,
    async publish() {
      if (force) return rename(draft, path);
      // Unlike rename, link never replaces a file that appeared meanwhile.
      await link(draft, path).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? alreadyThere(path) : error;
      });
      await rm(draft);
    },
    discard: () => rm(draft, { force: true }),
  };
}

function alreadyThere(path: string): CliFailure {
  return new CliFailure(`${path} exists already`, {
    code: 'ALREADY_EXISTS',
    tries: [
      { command: '--force', note: 'replace it' },
      { command: '--out-dir <folder>', note: 'write elsewhere' },
    ],
  });
}
