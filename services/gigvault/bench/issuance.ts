import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { servicePool } from '@gigvault/database/pools';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import type { Pool } from 'pg';
import { openDataDirectory } from '../src/bootstrap/data-directory.ts';
import { startDatabaseServer } from '../src/bootstrap/database-server.ts';
import { openDatabase } from '../src/bootstrap/open-database.ts';
import { preparePki, registerIssuers } from '../src/bootstrap/pki.ts';
import { openSecrets } from '../src/bootstrap/secrets.ts';
import { createSuiteProcess } from '../src/composition/one-process.ts';
import { gigvaultConfig } from '../src/gigvault.config.ts';
import { createProgress } from '../src/report/progress.ts';
import { closedLoopRound } from './closed-loop.ts';
import { ownCpu } from './cpu.ts';
import { issueFrom } from './issuance-load.ts';
import { type Effort, type Measurement, type Round, rateOf } from './measurement.ts';

const CONCURRENCIES = [1, 64, 256] as const;
const BOUNDS = { floor: { value: 2_000, p99: 40 }, goal: { value: 4_000, p99: 40 } };
const SERVICES = ['auth', 'keymgr', 'ca', 'audit'] as const satisfies readonly ServiceName[];

/**
 * CSR to durable certificate through `ca`'s API in one process: the real ca, keymgr and audit over the in-process
 * transport, a real PostgreSQL with fsync, proof of possession checked, the audit log running beside it.
 */
export async function benchIssuance({ rounds, roundMs }: Effort): Promise<Measurement[]> {
  const path = mkdtempSync(join(tmpdir(), 'gv-bench-'));
  const config = gigvaultConfig.parse({
    dataDir: path,
    ca: { auditLag: { events: 1_000_000, age: '1d' } },
  });
  const directory = openDataDirectory(path);
  const secrets = await openSecrets(directory);
  const server = await startDatabaseServer(directory, config, silentLog);
  const database = await openDatabase(server, secrets, directory);
  const pools = new Map<ServiceName, Pool>();
  const pool = (service: ServiceName) => {
    const made =
      pools.get(service) ??
      servicePool({
        connection: database.connection,
        database: database.name,
        service,
        password: secrets.databasePasswords[service],
        log: silentLog,
      });
    pools.set(service, made);
    return made;
  };
  const metrics = createMetrics();
  const suite = createSuiteProcess({
    config,
    publicUrl: 'https://localhost:8443',
    metrics,
    dataDir: (service) => directory.of(service),
    pool,
    log: () => silentLog,
  });
  try {
    const pki = await preparePki({
      config,
      directory,
      pool: pool('keymgr'),
      caPool: pool('ca'),
      log: silentLog,
      metrics,
      progress: createProgress(process.stderr, systemClock.now),
      print: () => undefined,
    });
    for (const service of SERVICES) await suite.start(service);
    await registerIssuers(suite, pki);
    for (const service of suite.running()) await service.startWorkers();
    const issueOne = await issueFrom(
      suite.broker.client('ra', RPC.issuance, 'ca'),
      suite.broker.client('ra', RPC.issuer, 'ca'),
    );
    const cpu = ownCpu(path);
    await closedLoopRound(issueOne, 64, roundMs, cpu);
    const measured = CONCURRENCIES.map((concurrency) => ({ concurrency, rounds: [] as Round[] }));
    for (let i = 0; i < rounds; i++)
      for (const row of measured)
        row.rounds.push(await closedLoopRound(issueOne, row.concurrency, roundMs, cpu));
    return measured.map((row) =>
      rateOf(row.rounds, {
        work: "CSR to durable certificate, ca's API, one process",
        concurrency: row.concurrency,
        ...(row.concurrency === 64 ? BOUNDS : {}),
      }),
    );
  } finally {
    for (const service of [...suite.running()].reverse()) await service.stop();
    await Promise.all([...pools.values()].map((open) => open.end()));
    await server.stop();
    rmSync(path, { recursive: true, force: true });
  }
}
