import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { installationRoot } from '@gigvault/host/home';
import type { CpuMeter } from './cpu.ts';
import { type Round, roundOf } from './measurement.ts';

/** What a load process is asked for. */
export interface LoadOrder {
  readonly concurrency: number;
  /** Milliseconds. */
  readonly ms: number;
}

/** What it answers: the milliseconds of each operation, and the whole time. Or what went wrong. */
export type LoadReport =
  | { readonly times: readonly number[]; readonly seconds: number }
  | { readonly error: string };

/** A process that makes load, so that its CPU is not counted as the server's. */
export interface LoadProcess {
  readonly pid: number;
  /** Rejects with the first error of an operation. */
  run(order: LoadOrder): Promise<{ readonly times: readonly number[]; readonly seconds: number }>;
  stop(): Promise<void>;
}

/** Starts the load of this name (loads.ts). @param setup what it is told first */
export function startLoad(name: string, setup: object): LoadProcess {
  const program = join(installationRoot(), 'dist', 'bench-load.js');
  const child: ChildProcess = fork(program, [name], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  child.send(setup);
  return {
    pid: child.pid as number,
    async run(order) {
      child.send(order);
      const ended = new AbortController();
      const report = await Promise.race([
        once(child, 'message', { signal: ended.signal }).then(([message]) => message as LoadReport),
        once(child, 'exit', { signal: ended.signal }).then(() => ({ error: `${name} ended` })),
      ]).finally(() => ended.abort());
      if ('error' in report) throw new Error(report.error);
      return report;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** One round of load from another process. */
export async function loadRound(
  load: LoadProcess,
  order: LoadOrder,
  cpu: CpuMeter,
): Promise<Round> {
  const used = cpu();
  const { times, seconds } = await load.run(order);
  return roundOf(times, seconds, used());
}
