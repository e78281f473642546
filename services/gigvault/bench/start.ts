import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startPki } from '@gigvault/testkit/pki-process';
import type { Measurement } from './main.ts';
import { median } from './statistics.ts';

const ROUNDS = 5;

/** Start of the whole suite in one process, first and warm, and what it then takes. */
export async function benchStart(): Promise<Measurement[]> {
  const pki = await startPki('one process');
  try {
    const first = pki.startTime();
    const warm: number[] = [];
    const memory: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await pki.stop();
      await pki.start();
      warm.push(pki.startTime());
      memory.push(residentMiB(pki.dataDir));
    }
    return [
      {
        work: 'first start, once built',
        value: `${(first / 1000).toFixed(2)} s`,
        details: { seconds: first / 1000 },
      },
      {
        work: 'warm start',
        value: `${(median(warm) / 1000).toFixed(2)} s`,
        details: { seconds: median(warm) / 1000, rounds: ROUNDS },
      },
      {
        work: 'memory of the suite in one process after a start',
        value: `${median(memory).toFixed(0)} MiB`,
        details: { mebibytes: median(memory), rounds: ROUNDS },
      },
    ];
  } finally {
    await pki.dispose();
  }
}

/** Resident memory of the main process; the database's is apart. */
function residentMiB(dataDir: string): number {
  const { pid } = JSON.parse(readFileSync(join(dataDir, 'run.json'), 'utf8')) as { pid: number };
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}
