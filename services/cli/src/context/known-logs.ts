import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliFailure } from '../failure.ts';
import { writePrivateFile } from './contexts-file.ts';

/** An audit log that was verified on this machine: known to whoever uses the command here, in any context. */
export interface KnownLog {
  /** SubjectPublicKeyInfo of its key, DER in base64. One key signs one log. */
  readonly publicKey: string;
  /** The signed note that was verified last (C2SP). */
  readonly checkpoint: string;
  /** The server that has it; missing when only an export was seen. */
  readonly server?: string;
}

const FILE = 'audit-logs.json';

/** The logs that were verified here; none when there is no file. Fails when it is not what it should be: it guards against a log that was cut back. */
export async function readKnownLogs(folder: string): Promise<readonly KnownLog[]> {
  const path = join(folder, FILE);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]';
    throw error;
  });
  const logs = parse(text);
  if (Array.isArray(logs) && logs.every(isKnownLog)) return logs;
  throw new CliFailure(`${path} cannot be read: it holds what was verified of audit logs`, {
    code: 'INVALID_ARGUMENT',
    tries: [
      { command: `mv ${path} ${path}.broken`, note: 'begin anew, with the next log as it is' },
    ],
  });
}

/** Keeps what was verified now in place of what was known of this log, and of another log at this server. */
export async function rememberLog(folder: string, log: KnownLog): Promise<void> {
  const known = await readKnownLogs(folder);
  const before = known.find(({ publicKey }) => publicKey === log.publicKey);
  const others = known
    .filter(({ publicKey }) => publicKey !== log.publicKey)
    .map((other) => (log.server && other.server === log.server ? withoutServer(other) : other));
  const server = log.server ?? before?.server;
  await write(folder, [...others, { ...withoutServer(log), ...(server ? { server } : {}) }]);
}

/** Forgets a log that is gone for ever. */
export async function forgetLog(folder: string, key: string): Promise<void> {
  const known = await readKnownLogs(folder);
  const left = known.filter(({ publicKey }) => publicKey !== key);
  if (left.length < known.length) await write(folder, left);
}

function write(folder: string, logs: readonly KnownLog[]): Promise<void> {
  return writePrivateFile(join(folder, FILE), `${JSON.stringify(logs, undefined, 2)}\n`);
}

function withoutServer({ publicKey, checkpoint }: KnownLog): KnownLog {
  return { publicKey, checkpoint };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isKnownLog(log: Partial<KnownLog> | null): log is KnownLog {
  return typeof log?.publicKey === 'string' && typeof log.checkpoint === 'string';
}
