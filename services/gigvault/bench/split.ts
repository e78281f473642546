import { join } from 'node:path';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { measureAcme, startAcmeLoad } from './acme.ts';
import { cpuOf } from './cpu.ts';
import { type LoadProcess, loadRound, startLoad } from './load-process.ts';
import { type Effort, type Measurement, type Round, rateOf } from './measurement.ts';
import { nodePids } from './pki-pids.ts';

const CONCURRENCIES = [1, 64, 256] as const;

/** The benches `issuance` and `acme` against one process per service. */
export async function* benchSplit(effort: Effort): AsyncIterable<Measurement> {
  const pki = await startPki('split', '--encode-in-process', 'false');
  const loads: LoadProcess[] = [];
  try {
    const issuance = startIssuanceLoad(pki);
    loads.push(issuance);
    yield* await measureIssuance(pki, issuance, effort);
    const acme = startAcmeLoad(pki);
    loads.push(acme);
    const about = { work: 'ACME http-01, split', floor: 120, goal: 300 };
    yield* await measureAcme(pki, acme, effort, about);
  } finally {
    for (const load of loads) await load.stop();
    await pki.dispose();
  }
}

/** Asks `ca` as `ra` would. `ca` has the first gRPC port (split-ports.ts). */
export function startIssuanceLoad({ dataDir, ports }: PkiProcess): LoadProcess {
  const file = (name: string) => join(dataDir, 'tls', name);
  return startLoad('issuance', {
    trustDomain: 'gigvault.local',
    identity: {
      servicesCa: file('services-ca.crt'),
      certificate: file('ra.crt'),
      privateKey: file('ra.key'),
    },
    address: `127.0.0.1:${ports.grpc}`,
  });
}

async function measureIssuance(
  pki: PkiProcess,
  load: LoadProcess,
  { rounds, roundMs }: Effort,
): Promise<Measurement[]> {
  const cpu = cpuOf(nodePids(pki), pki.dataDir, load.pid);
  const measured = CONCURRENCIES.map((concurrency) => ({ concurrency, rounds: [] as Round[] }));
  await loadRound(load, { concurrency: 64, ms: roundMs }, cpu);
  for (let i = 0; i < rounds; i++)
    for (const row of measured)
      row.rounds.push(await loadRound(load, { concurrency: row.concurrency, ms: roundMs }, cpu));
  return measured.map((row) =>
    rateOf(row.rounds, {
      work: "CSR to durable certificate, ca's API, split",
      concurrency: row.concurrency,
      ...(row.concurrency === 64 ? { floor: { value: 800 }, goal: { value: 2_000 } } : {}),
    }),
  );
}
