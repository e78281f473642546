import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CpuShares } from './measurement.ts';

/** Begins to count; what it returns says what was used since, in microseconds of all cores. */
export type CpuMeter = () => () => CpuShares;

/** Linux counts in hundredths of a second, whatever the machine (USER_HZ). */
const MICROSECONDS_PER_TICK = 10_000;

/** A meter of this process itself, and of the PostgreSQL below a data directory of `up`. */
export function ownCpu(dataDir: string): CpuMeter {
  const postmaster = postmasterOf(dataDir);
  return () => {
    const node = process.cpuUsage();
    const postgres = cpuOfTree(postmaster);
    return () => {
      const { user, system } = process.cpuUsage(node);
      return { node: user + system, postgres: cpuOfTree(postmaster) - postgres };
    };
  };
}

/**
 * A meter of processes and of the PostgreSQL below a data directory of `up`.
 * @param loader the process that makes the load
 */
export function cpuOf(pids: readonly number[], dataDir: string, loader?: number): CpuMeter {
  const postmaster = postmasterOf(dataDir);
  const read = (): CpuShares => ({
    node: pids.reduce((sum, pid) => sum + cpuOfProcess(pid), 0),
    postgres: cpuOfTree(postmaster),
    ...(loader === undefined ? {} : { loader: cpuOfProcess(loader) }),
  });
  return () => {
    const before = read();
    return () => {
      const after = read();
      return {
        node: after.node - before.node,
        postgres: (after.postgres ?? 0) - (before.postgres ?? 0),
        ...(loader === undefined ? {} : { loader: (after.loader ?? 0) - (before.loader ?? 0) }),
      };
    };
  };
}

/** A meter of a server with its children, and of the process that loads it. */
export function cpuOfServer(pid: number, loader?: number): CpuMeter {
  const read = (): CpuShares => ({
    node: cpuOfTree(pid),
    ...(loader === undefined ? {} : { loader: cpuOfProcess(loader) }),
  });
  return () => {
    const before = read();
    return () => {
      const after = read();
      return {
        node: after.node - before.node,
        ...(loader === undefined ? {} : { loader: (after.loader ?? 0) - (before.loader ?? 0) }),
      };
    };
  };
}

/** CPU microseconds of a process with all its threads, since it began; without its children. */
function cpuOfProcess(pid: number): number {
  const { user, system } = statOf(pid);
  return (user + system) * MICROSECONDS_PER_TICK;
}

/** The same of a process, its children, and the children that it had and that ended: of PostgreSQL, with all its backends. */
function cpuOfTree(pid: number): number {
  const { user, system, endedChildren } = statOf(pid);
  const children = readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' '))
    .filter((child) => child !== '')
    .reduce((sum, child) => sum + cpuOfTreeIfAlive(Number(child)), 0);
  return (user + system + endedChildren) * MICROSECONDS_PER_TICK + children;
}

/** A backend may end between the list and the look; its parent counts it then, at the next reading. */
function cpuOfTreeIfAlive(pid: number): number {
  try {
    return cpuOfTree(pid);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0;
    throw error;
  }
}

/** proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17, counted behind the name in brackets. */
function statOf(pid: number): { user: number; system: number; endedChildren: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  return { user: field(14), system: field(15), endedChildren: field(16) + field(17) };
}

function postmasterOf(dataDir: string): number {
  return Number.parseInt(readFileSync(join(dataDir, 'pg/cluster/postmaster.pid'), 'utf8'), 10);
}
