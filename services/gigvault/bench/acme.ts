import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { cpuOf } from './cpu.ts';
import { type LoadProcess, loadRound, startLoad } from './load-process.ts';
import { type Effort, type Measurement, type Round, rateOf } from './measurement.ts';
import { nodePids } from './pki-pids.ts';

const CLIENTS = [1, 8, 64, 256] as const;
/** Where the floor is asked for; at the most clients there must be no collapse. */
const BUSY = 64;
const MOST = 256;

/** Full ACME http-01 issuance against `up` in one process. */
export async function* benchAcme(effort: Effort): AsyncIterable<Measurement> {
  const pki = await startPki('one process', '--encode-in-process', 'false');
  let load: LoadProcess | undefined;
  try {
    load = startAcmeLoad(pki);
    yield* await measureAcme(pki, load, effort, {
      work: 'ACME http-01, one process',
      floor: 250,
      goal: 600,
    });
  } finally {
    await load?.stop();
    await pki.dispose();
  }
}

/** The load of ACME clients against a PKI of our own. */
export function startAcmeLoad(pki: PkiProcess): LoadProcess {
  return startLoad('acme', {
    directory: `${pki.publicUrl}/acme/directory`,
    rootFile: pki.rootFile,
    http01Port: pki.ports.http01,
  });
}

/** Rounds at each number of clients, by turns, and how much of the peak is left at the most. */
export async function measureAcme(
  pki: PkiProcess,
  load: LoadProcess,
  { rounds, roundMs }: Effort,
  { work, floor, goal }: { readonly work: string; readonly floor: number; readonly goal: number },
): Promise<Measurement[]> {
  const cpu = cpuOf(nodePids(pki), pki.dataDir, load.pid);
  const measured = CLIENTS.map((concurrency) => ({ concurrency, rounds: [] as Round[] }));
  await loadRound(load, { concurrency: MOST, ms: roundMs }, cpu);
  for (let i = 0; i < rounds; i++)
    for (const row of measured)
      row.rounds.push(await loadRound(load, { concurrency: row.concurrency, ms: roundMs }, cpu));
  const rows = measured.map((row) =>
    rateOf(row.rounds, {
      work,
      concurrency: row.concurrency,
      ...(row.concurrency === BUSY
        ? { floor: { value: floor }, goal: { value: goal, p99: 150 } }
        : {}),
    }),
  );
  const peak = Math.max(...rows.map(({ value }) => value));
  const left = rows.find(({ concurrency }) => concurrency === MOST)?.value ?? 0;
  return [
    ...rows,
    {
      work: `${work}, no collapse`,
      unit: '% of peak',
      value: (100 * left) / peak,
      concurrency: MOST,
      rounds,
      floor: { value: 90 },
    },
  ];
}
