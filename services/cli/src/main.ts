import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { processEnvironment } from '@gigvault/config/process-environment';
import { systemClock } from '@gigvault/time/clock';
import { runCli } from './run-cli.ts';
import type { RootcaRun, Terminal } from './terminal.ts';

const interrupt = new AbortController();
process.once('SIGINT', () => {
  interrupt.abort(new Error('interrupted'));
  // A second Ctrl-C ends the process at once: the default action is back.
});
// `gigvault cert list | head -1`: nobody reads on, which is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
// `2>&1 | head -1`: what failed is told by the exit code all the same.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

process.exitCode = await runCli(process.argv.slice(2), processTerminal());

function processTerminal(): Terminal {
  return {
    env: processEnvironment,
    homeDir: homedir(),
    cwd: process.cwd(),
    clock: systemClock,
    version: installedVersion(),
    stdoutIsTty: process.stdout.isTTY ?? false,
    stderrIsTty: process.stderr.isTTY ?? false,
    stdinIsTty: process.stdin.isTTY ?? false,
    signal: interrupt.signal,
    writeOut: (text) => void process.stdout.write(text),
    writeErr: (text) => void process.stderr.write(text),
    async ask(question) {
      const { createInterface } = await import('node:readline/promises');
      const lines = createInterface({ input: process.stdin, output: process.stderr });
      try {
        return await lines.question(question, { signal: interrupt.signal });
      } finally {
        lines.close();
      }
    },
    askSecret,
    runRootca,
  };
}

/** readline writes the question, and what is typed nowhere. */
async function askSecret(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  process.stderr.write(question);
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true });
  // The terminal hands over single keys meanwhile: Ctrl-C is one of them.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    return await lines.question('', { signal: interrupt.signal });
  } finally {
    lines.close();
    process.stderr.write('\n');
  }
}

/** It lies beside this program. */
async function runRootca(args: readonly string[], input: string): Promise<RootcaRun> {
  const { spawn } = await import('node:child_process');
  const program = join(dirname(fileURLToPath(import.meta.url)), 'rootca.js');
  const child = spawn(process.execPath, [...process.execArgv, program, ...args], {
    stdio: ['pipe', 'ignore', 'pipe'],
    signal: interrupt.signal,
  });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  // Whoever needs no passphrase does not read.
  child.stdin.on('error', () => undefined).end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 1, stderr };
}

/** The version of the package.json above the program: dist/cli.js, or this file when run from source. */
function installedVersion(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    try {
      return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string })
        .version;
    } catch (error) {
      if (dirname(folder) === folder) throw error;
    }
  }
}
