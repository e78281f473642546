import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

/** Processes that belong to this data directory by their command line: services of split mode, and the database if asked. */
export function processesOf(
  dataDir: string,
  which: 'services' | 'services and database',
): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const services = lines
    .filter((line) => line.includes(`--config ${dataDir}/`))
    .map((line) => Number.parseInt(line, 10));
  const pidFile = join(dataDir, 'pg', 'cluster', 'postmaster.pid');
  if (which === 'services' || !existsSync(pidFile)) return services;
  return [...services, Number.parseInt(readFileSync(pidFile, 'utf8'), 10)];
}

/** The processes of split mode by their names, `edge` included. */
export function serviceProcesses(dataDir: string): Map<string, number> {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const services = `--config ${join(dataDir, 'services')}/`;
  return new Map(
    lines
      .filter((line) => line.includes(services))
      .map((line) => [
        line.split(services)[1]?.replace(/\.yaml.*$/, '') as string,
        Number.parseInt(line, 10),
      ]),
  );
}

/** SIGKILL, and waits until they are gone. */
export async function killAll(pids: readonly number[]): Promise<void> {
  for (const pid of pids) signal(pid, 'SIGKILL');
  await eventually(() => {
    if (pids.some((pid) => signal(pid, 0))) throw new Error(`processes ${pids.join(' ')} live on`);
  });
}

/** False when the process is gone. */
function signal(pid: number, what: 'SIGKILL' | 0): boolean {
  try {
    return process.kill(pid, what);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
