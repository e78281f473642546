import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { installationRoot } from '@gigvault/host/home';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { startAcmeLoad } from './acme.ts';
import { type CpuMeter, cpuOf, cpuOfServer } from './cpu.ts';
import { type LoadProcess, loadRound, startLoad } from './load-process.ts';
import { type Effort, type Measurement, type Round, rateOf } from './measurement.ts';
import { CONNECTIONS, issueGood, noncedLines, ocspRound, responderOf } from './ocsp.ts';
import { startCaddy } from './peers/caddy.ts';
import { makeOpensslIndex, type OpensslIndex } from './peers/openssl-ocsp.ts';
import { startPebble } from './peers/pebble.ts';
import type { AcmePeer } from './peers/peer.ts';
import { startStepCa } from './peers/step-ca.ts';
import { nodePids } from './pki-pids.ts';
import { startIssuanceLoad } from './split.ts';

/** One of those that do the same work by turns. */
interface Contender {
  readonly name: string;
  round(concurrency: number, ms: number): Promise<Round>;
  /** It does not bear more clients. */
  readonly mostClients?: number;
  /** How many times as fast we aim to be. */
  readonly goal?: number;
}

const CLIENTS = [1, 8, 64] as const;
/** Above it Pebble hangs. */
const PEBBLE_CLIENTS = 8;
/** Every peer's orders are for this name: they ask the system's resolver, which knows it without asking anybody. */
const NAME = 'localhost';

/** A contender that is loaded by a process of ours. */
function loaded(name: string, load: LoadProcess, cpu: CpuMeter): Contender {
  return { name, round: (concurrency, ms) => loadRound(load, { concurrency, ms }, cpu) };
}

/** Other servers at the same work, by turns in the same run: rates, and ours as a multiple of theirs. */
export async function* benchPeers(effort: Effort): AsyncIterable<Measurement> {
  execFileSync('sh', [join(installationRoot(), 'scripts/build-peers.sh')], { stdio: 'inherit' });
  yield* await comparedAcme(effort);
  yield* await comparedSigning(effort);
  yield* await comparedOcsp(effort);
}

async function comparedAcme(effort: Effort): Promise<Measurement[]> {
  const open: { stop(): Promise<void> }[] = [];
  const keep = <T extends { stop(): Promise<void> }>(opened: T): T => {
    open.push(opened);
    return opened;
  };
  const contend = (peer: AcmePeer): Contender => {
    const { directory, http01Port, pid, name } = peer;
    const load = keep(startLoad('acme', { directory, http01Port, name: NAME }));
    return loaded(name, load, cpuOfServer(pid, load.pid));
  };
  try {
    const pki = await startPki('one process', '--encode-in-process', 'false');
    keep({ stop: () => pki.dispose() });
    const load = keep(startAcmeLoad(pki));
    const ours = loaded('GigVault', load, cpuOf(nodePids(pki), pki.dataDir, load.pid));
    const peers: Contender[] = [
      { ...contend(keep(await startStepCa())), goal: 3 },
      { ...contend(keep(await startCaddy())), goal: 3 },
      { ...contend(keep(await startPebble())), goal: 2, mostClients: PEBBLE_CLIENTS },
    ];
    return await compared('ACME http-01', [ours, ...peers], CLIENTS, effort);
  } finally {
    for (const opened of open.reverse()) await opened.stop();
  }
}

/** Ours over the network as theirs is, so in split mode: `ca` and `keymgr` are processes of their own there. */
async function comparedSigning(effort: Effort): Promise<Measurement[]> {
  let pki: PkiProcess | undefined;
  const open: { stop(): Promise<void> }[] = [];
  try {
    pki = await startPki('split', '--encode-in-process', 'false');
    const own = startIssuanceLoad(pki);
    open.push(own);
    const step = await startStepCa();
    open.push(step);
    const load = startLoad('step-sign', step.sign);
    open.push(load);
    const contenders: Contender[] = [
      loaded("GigVault, ca's API", own, cpuOf(nodePids(pki), pki.dataDir, own.pid)),
      { ...loaded(`${step.name}, /1.0/sign`, load, cpuOfServer(step.pid, load.pid)), goal: 5 },
    ];
    return await compared('CSR to certificate', contenders, [1, 64], effort);
  } finally {
    for (const opened of open.reverse()) await opened.stop();
    await pki?.dispose();
  }
}

/** Answers that are signed on demand, by all cores. `openssl ocsp` closes the connection after each. */
async function comparedOcsp(effort: Effort): Promise<Measurement[]> {
  const openssl = makeOpensslIndex();
  const pki = await startPki('one process', '--encode-in-process', 'false');
  try {
    const responder = responderOf(pki, nodePids(pki));
    const ours = noncedLines(await issueGood(pki));
    const theirs = noncedLines(openssl.leaves);
    const contenders: Contender[] = [
      { name: 'GigVault', round: (_connections, ms) => ocspRound(responder, ours, ms) },
      {
        name: openssl.name,
        round: (_connections, ms) => opensslRound(openssl, theirs, ms),
        goal: 1.3,
      },
    ];
    return await compared('OCSP signed on demand', contenders, [CONNECTIONS], effort);
  } finally {
    await pki.dispose();
    openssl.remove();
  }
}

/** With a responder of its own: a worker spins for ever once a client has gone away in the middle. */
async function opensslRound(
  openssl: OpensslIndex,
  lines: readonly string[],
  ms: number,
): Promise<Round> {
  const { url, folder, pid, stop } = await openssl.start();
  try {
    return await ocspRound({ url, folder, cpu: cpuOfServer(pid) }, lines, ms);
  } finally {
    await stop();
  }
}

/** Rounds by turns; the first contender is ours. */
async function compared(
  work: string,
  contenders: readonly Contender[],
  clients: readonly number[],
  { rounds, roundMs }: Effort,
): Promise<Measurement[]> {
  const runs = clients.flatMap((concurrency) =>
    contenders
      .filter(({ mostClients = concurrency }) => concurrency <= mostClients)
      .map((contender) => ({ contender, concurrency, rounds: [] as Round[] })),
  );
  for (const { contender, concurrency } of runs) await contender.round(concurrency, roundMs / 4);
  for (let i = 0; i < rounds; i++)
    for (const { contender, concurrency, rounds: done } of runs)
      done.push(await contender.round(concurrency, roundMs));
  const rows = runs.map(({ contender, concurrency, rounds: done }) =>
    rateOf(done, { work: `${work}, ${contender.name}`, concurrency }),
  );
  const ratios = runs.flatMap(({ contender, concurrency }, i): Measurement[] => {
    const ours = runs.findIndex(
      (run) => run.contender === contenders[0] && run.concurrency === concurrency,
    );
    if (ours === i) return [];
    return [
      {
        work: `${work}, we to ${contender.name}`,
        unit: '×',
        value: (rows[ours]?.value ?? 0) / (rows[i]?.value ?? 0),
        concurrency,
        rounds,
        ...(contender.goal === undefined ? {} : { goal: { value: contender.goal } }),
      },
    ];
  });
  return [...rows, ...ratios];
}
