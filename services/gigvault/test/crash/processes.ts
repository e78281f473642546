import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceProcesses } from '@gigvault/testkit/leftovers';
import type { PkiProcess } from '@gigvault/testkit/pki-process';

/** The name of the process that holds the token's library, which belongs to `keymgr`. */
export const DRIVER = 'pkcs11-driver';

/** The processes of a PKI that can be killed, by name: `gigvault`, `database` and DRIVER, and in split mode every service and `edge`. */
export function processesOf({ mode, dataDir }: PkiProcess): Map<string, number> {
  const { pid } = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as { pid: number };
  const postmaster = readFileSync(join(dataDir, 'pg', 'cluster', 'postmaster.pid'), 'utf8');
  const services = mode === 'split' ? serviceProcesses(dataDir) : new Map<string, number>();
  const [driver] = driversUnder(services.get('keymgr') ?? pid);
  return new Map([
    ['gigvault', pid],
    ['database', Number.parseInt(postmaster, 10)],
    ...services,
    ...(driver === undefined ? [] : [[DRIVER, driver] as const]),
  ]);
}

function driversUnder(keymgr: number): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return lines
    .filter((line) => line.includes(DRIVER))
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === keymgr)
    .map(([pid]) => pid as number);
}
