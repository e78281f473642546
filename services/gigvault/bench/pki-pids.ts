import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesOf } from '@gigvault/testkit/leftovers';

/** The process that `up` runs as. */
export function mainPid(dataDir: string): number {
  return (JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as { pid: number }).pid;
}

/** Every Node process of a PKI: the main one, and the services and the edge in split mode. */
export function nodePids({ dataDir }: { readonly dataDir: string }): number[] {
  return [mainPid(dataDir), ...processesOf(dataDir, 'services')];
}
