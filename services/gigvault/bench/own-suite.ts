import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { servicePool } from '@gigvault/database/pools';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import type { ClientConfig, Pool } from 'pg';
import { openDataDirectory } from '../src/bootstrap/data-directory.ts';
import { startDatabaseServer } from '../src/bootstrap/database-server.ts';
import { openDatabase } from '../src/bootstrap/open-database.ts';
import { preparePki, registerIssuers } from '../src/bootstrap/pki.ts';
import { openSecrets } from '../src/bootstrap/secrets.ts';
import { createSuiteProcess, type SuiteProcess } from '../src/composition/one-process.ts';
import { type GigvaultConfig, gigvaultConfig } from '../src/gigvault.config.ts';
import { createProgress } from '../src/report/progress.ts';

/** Some services in this process, on a database of their own. */
export interface OwnSuite {
  readonly suite: SuiteProcess;
  readonly dataDir: string;
  /** A superuser's way to the database. */
  readonly admin: ClientConfig;
  stop(): Promise<void>;
}

/**
 * Starts `services` with their workers in a temporary directory, and a real PostgreSQL with fsync. The audit log may lag: the load is more than
 * anyone's clients.
 *
 * @param settings of the configuration, beside the defaults
 */
export async function startOwnSuite(
  services: readonly ServiceName[],
  settings: object = {},
): Promise<OwnSuite> {
  const path = mkdtempSync(join(tmpdir(), 'gv-own-'));
  const config = gigvaultConfig.parse({
    dataDir: path,
    ca: { auditLag: { events: 1_000_000, age: '1d' } },
    ...settings,
  });
  const directory = openDataDirectory(path);
  const secrets = await openSecrets(directory);
  const server = await startDatabaseServer(directory, config, silentLog);
  const { connection, name } = await openDatabase(server, secrets, directory);
  const pools = new Map<ServiceName, Pool>();
  const pool = (service: ServiceName) => {
    const password = secrets.databasePasswords[service];
    const made =
      pools.get(service) ??
      servicePool({ connection, database: name, service, password, log: silentLog });
    pools.set(service, made);
    return made;
  };
  const suite = await startServices(services, config, directory, pool);
  return {
    suite,
    dataDir: path,
    admin: { ...server.admin, database: name },
    async stop() {
      for (const service of [...suite.running()].reverse()) await service.stop();
      await Promise.all([...pools.values()].map((open) => open.end()));
      await server.stop();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

async function startServices(
  services: readonly ServiceName[],
  config: GigvaultConfig,
  directory: ReturnType<typeof openDataDirectory>,
  pool: (service: ServiceName) => Pool,
): Promise<SuiteProcess> {
  const metrics = createMetrics();
  const suite = createSuiteProcess({
    config,
    publicUrl: 'https://localhost:8443',
    metrics,
    dataDir: (service) => directory.of(service),
    pool,
    log: () => silentLog,
  });
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
  for (const service of services) await suite.start(service);
  await registerIssuers(suite, pki);
  for (const service of suite.running()) await service.startWorkers();
  return suite;
}
