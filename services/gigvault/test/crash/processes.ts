import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceProcesses } from '@gigvault/testkit/leftovers';
import type { PkiProcess } from '@gigvault/testkit/pki-process';

/** The processes of a PKI that can be killed, by name: `gigvault` and `database`, and in split mode every service and `edge`. */
export function processesOf({ mode, dataDir }: PkiProcess): Map<string, number> {
  const { pid } = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as { pid: number };
  const postmaster = readFileSync(join(dataDir, 'pg', 'cluster', 'postmaster.pid'), 'utf8');
  return new Map([
    ['gigvault', pid],
    ['database', Number.parseInt(postmaster, 10)],
    ...(mode === 'split' ? serviceProcesses(dataDir) : []),
  ]);
}
