import { readFileSync } from 'node:fs';
import { startPki } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { cpuOf } from './cpu.ts';
import { type Effort, type Measurement, megabytes } from './measurement.ts';
import { mainPid } from './pki-pids.ts';
import { median } from './statistics.ts';

/** Start of the whole suite in one process, first and warm, and what it then takes. */
export async function* benchStart({ rounds, roundMs }: Effort): AsyncIterable<Measurement> {
  const pki = await startPki('one process', '--encode-in-process', 'false');
  try {
    yield { work: 'first start, once built', unit: 's', value: pki.startTime() / 1000, rounds: 1 };
    const warm: number[] = [];
    const memory: number[] = [];
    for (let round = 0; round < rounds; round++) {
      await pki.stop();
      await pki.start();
      warm.push(pki.startTime());
      memory.push(residentMiB(mainPid(pki.dataDir)));
    }
    yield {
      work: 'warm start',
      unit: 's',
      value: median(warm) / 1000,
      rounds,
      floor: { value: 2 },
      goal: { value: 1 },
    };
    yield {
      work: 'memory after a start, the database apart',
      unit: 'MiB',
      value: median(memory),
      rounds,
      floor: { value: megabytes(350) },
      goal: { value: megabytes(250) },
    };
    const idle = await idleShares(pki.dataDir, 5 * roundMs);
    yield {
      work: 'idle, the database apart',
      unit: '% CPU',
      value: idle.node,
      rounds: 1,
      goal: { value: 1 },
    };
    yield { work: 'idle, the database', unit: '% CPU', value: idle.postgres, rounds: 1 };
  } finally {
    await pki.dispose();
  }
}

/** Percent of one core over `ms`, once the work that follows a start is done. */
async function idleShares(
  dataDir: string,
  ms: number,
): Promise<{ node: number; postgres: number }> {
  await systemClock.sleep(ms / 4);
  const used = cpuOf([mainPid(dataDir)], dataDir)();
  const begin = performance.now();
  await systemClock.sleep(ms);
  const percent = (microseconds = 0) => microseconds / 10 / (performance.now() - begin);
  const { node, postgres } = used();
  return { node: percent(node), postgres: percent(postgres) };
}

/** Resident memory of a process. */
function residentMiB(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}
