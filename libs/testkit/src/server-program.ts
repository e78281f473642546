import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './pki-process.ts';

/** Where scripts/test-servers.sh puts servers of other makers. */
export const TEST_SERVERS = join(REPOSITORY, '.build', 'test-servers');

/** A server of another maker that runs for a test. */
export interface ServerProgram {
  /** What the first group of the pattern found in what it said. */
  readonly found: string;
  stop(): Promise<void>;
}

/** Starts a program that serves, and waits until it says so. Rejects with everything that it said when it ends before that, or is not installed. */
export async function startServer(
  program: string,
  args: readonly string[],
  { serving, env }: { readonly serving: RegExp; readonly env: Readonly<Record<string, string>> },
): Promise<ServerProgram> {
  if (!existsSync(TEST_SERVERS))
    throw new Error('moto and OpenBao are missing: sh scripts/test-deps.sh');
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const found = await said(child, serving).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  // It may say more than a pipe holds.
  child.stdout?.resume();
  child.stderr?.resume();
  return {
    found,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const hear = (part: Buffer): void => {
      text += part.toString();
      const match = pattern.exec(text);
      if (match !== null) resolve(match[1] ?? match[0]);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('error', reject);
    child.once('exit', (code) =>
      reject(new Error(`${child.spawnfile} ended with ${code}:\n${text}`)),
    );
  });
}
