import { access, readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Content, draftFile } from '@gigvault/files/durable-file';
import { CliFailure, type Try, whyUnreadable } from '../failure.ts';
import type { Terminal } from '../terminal.ts';

/** A file that is written but does not have its name yet. */
export interface OutputDraft {
  /** Gives it its name. Fails when the name is taken, unless replacing was asked for. */
  publish(): Promise<void>;
  discard(): Promise<void>;
}

/** The text of a file that the user named. */
export async function readInput(terminal: Terminal, path: string): Promise<string> {
  return (await readOctets(terminal, path)).toString('utf8');
}

/** The octets of a file that the user named. */
export async function readOctets(terminal: Terminal, path: string): Promise<Buffer> {
  return readFile(resolve(terminal.cwd, path)).catch((cause: NodeJS.ErrnoException) => {
    const why = whyUnreadable(cause);
    throw new CliFailure(`cannot read ${path}: ${why}`, { code: 'INVALID_ARGUMENT', cause });
  });
}

/** Fails with exit 6 when one of the files exists, unless they may be replaced. `elsewhere` is how to write another file. */
export async function refuseExisting(
  paths: readonly string[],
  force: boolean,
  elsewhere: Try,
): Promise<void> {
  if (force) return;
  for (const path of paths) {
    const exists = await access(path).then(
      () => true,
      () => false,
    );
    if (exists) throw alreadyThere(path, elsewhere);
  }
}

/** Writes the content to the disk under a name of its own, so that nothing half-written is ever seen under the real one. */
export async function draftOutput(
  path: string,
  content: Content,
  mode: number,
  force: boolean,
): Promise<OutputDraft> {
  const draft = await draftFile(path, content, mode).catch((cause: NodeJS.ErrnoException) => {
    if (cause.syscall === undefined) throw cause;
    throw new CliFailure(`cannot write in ${dirname(path)}: ${cause.message}`, {
      code: 'INVALID_ARGUMENT',
      cause,
    });
  });
  return {
    discard: draft.discard,
    async publish() {
      if (force) return draft.replace();
      await draft.create().catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? alreadyThere(path) : error;
      });
    },
  };
}

function alreadyThere(path: string, ...elsewhere: Try[]): CliFailure {
  return new CliFailure(`${path} exists already`, {
    code: 'ALREADY_EXISTS',
    tries: [{ command: '--force', note: 'replace it' }, ...elsewhere],
  });
}
