import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { closedLoopRound } from './closed-loop.ts';
import { ownCpu } from './cpu.ts';
import { issueFrom } from './issuance-load.ts';
import { type Effort, type Measurement, type Round, rateOf } from './measurement.ts';
import { startOwnSuite } from './own-suite.ts';

const CONCURRENCIES = [1, 64, 256] as const;
const BOUNDS = { floor: { value: 2_000, p99: 40 }, goal: { value: 4_000, p99: 40 } };
const SERVICES = ['auth', 'keymgr', 'ca', 'audit'] as const satisfies readonly ServiceName[];

/**
 * CSR to durable certificate through `ca`'s API in one process: the real ca, keymgr and audit over the in-process
 * transport, a real PostgreSQL with fsync, proof of possession checked, the audit log running beside it.
 */
export async function* benchIssuance({ rounds, roundMs }: Effort): AsyncIterable<Measurement> {
  const { suite, dataDir, stop } = await startOwnSuite(SERVICES);
  try {
    const issueOne = await issueFrom(
      suite.broker.client('ra', RPC.issuance, 'ca'),
      suite.broker.client('ra', RPC.issuer, 'ca'),
    );
    const cpu = ownCpu(dataDir);
    await closedLoopRound(issueOne, 64, roundMs, cpu);
    const measured = CONCURRENCIES.map((concurrency) => ({ concurrency, rounds: [] as Round[] }));
    for (let i = 0; i < rounds; i++)
      for (const row of measured)
        row.rounds.push(await closedLoopRound(issueOne, row.concurrency, roundMs, cpu));
    yield* measured.map((row) =>
      rateOf(row.rounds, {
        work: "CSR to durable certificate, ca's API, one process",
        concurrency: row.concurrency,
        ...(row.concurrency === 64 ? BOUNDS : {}),
      }),
    );
  } finally {
    await stop();
  }
}
