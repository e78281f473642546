import { readFileSync } from 'node:fs';

/** Stops a PostgreSQL server and each of its processes (SIGSTOP, Linux): it hangs, and its sockets stay. @returns lets them go on, once */
export function pausePostgres(postmaster: number): () => void {
  // First, so that it makes no more processes.
  process.kill(postmaster, 'SIGSTOP');
  const children = readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8');
  const pids = [...children.trim().split(' ').map(Number), postmaster];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return () => {
    for (const pid of pids.splice(0)) process.kill(pid, 'SIGCONT');
  };
}
