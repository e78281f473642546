import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@gigvault/time/clock';
import { stringify } from 'yaml';
import type { Context } from '../src/context/contexts-file.ts';
import { runCli } from '../src/run-cli.ts';
import type { Terminal } from '../src/terminal.ts';
import type { FakeServer } from './fake-server.ts';
import { NOW } from './test-authority.ts';

/** What a run left behind. */
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A home and a working folder of its own, and runs of the command in them. */
export interface TestMachine {
  readonly home: string;
  readonly cwd: string;
  /** Where contexts.yaml lies. */
  readonly config: string;
  readonly clock: FakeClock;
  run(line: string | readonly string[], change?: Partial<Terminal>): Promise<Run>;
  writeContexts(current: string, contexts: Record<string, Context>): Promise<void>;
  remove(): Promise<void>;
}

/** A machine; with a server, its context `local` is signed in there. */
export async function createTestMachine(
  server?: FakeServer,
  more: Partial<Context> = {},
): Promise<TestMachine> {
  const home = await mkdtemp(join(tmpdir(), 'gigvault-cli-'));
  const cwd = join(home, 'work');
  const config = join(home, '.config', 'gigvault');
  await mkdir(cwd);
  await mkdir(config, { recursive: true });
  const clock = new FakeClock(NOW);
  // Waiting takes no time here: who sleeps is woken later.
  clock.sleep = async (ms) => clock.advance(ms);

  const machine: TestMachine = {
    home,
    cwd,
    config,
    clock,
    async run(line, change = {}) {
      const argv = typeof line === 'string' ? line.split(' ').filter(Boolean) : line;
      const written = { out: '', err: '' };
      const code = await runCli(argv, {
        env: {},
        homeDir: home,
        cwd,
        clock,
        version: '0.1.0',
        stdoutIsTty: false,
        stderrIsTty: false,
        stdinIsTty: false,
        signal: new AbortController().signal,
        writeOut: (text) => {
          written.out += text;
        },
        writeErr: (text) => {
          written.err += text;
        },
        ask: () => Promise.reject(new Error('asked without a terminal')),
        askSecret: () => Promise.reject(new Error('asked without a terminal')),
        runRootca: () => Promise.reject(new Error('no root here')),
        ...change,
      });
      return { code, ...written };
    },
    async writeContexts(current, contexts) {
      await writeFile(join(config, 'contexts.yaml'), stringify({ current, contexts }), {
        mode: 0o600,
      });
    },
    remove: () => rm(home, { recursive: true, force: true }),
  };
  if (server) {
    await writeFile(join(config, 'root.crt'), server.authority.root);
    const local = {
      server: server.url,
      caFile: 'root.crt',
      apiKey: 'gv_key_good',
      environment: 'development',
      ...more,
    } as const;
    await machine.writeContexts('local', { local });
  }
  return machine;
}
