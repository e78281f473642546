import { servicePool } from '@gigvault/database/pools';
import type { ServiceName } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import type { Pool } from 'pg';
import type { DataDirectory } from '../bootstrap/data-directory.ts';
import type { OpenDatabase } from '../bootstrap/open-database.ts';
import type { Secrets } from '../bootstrap/secrets.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';
import { createSuiteProcess, type SuiteProcess } from './one-process.ts';

/** What a start builds on, once the first steps are done. */
export interface Ground {
  readonly config: GigvaultConfig;
  readonly written: Readonly<Record<string, unknown>>;
  readonly directory: DataDirectory;
  readonly secrets: Secrets;
  readonly database: OpenDatabase;
  readonly publicUrl: string;
  readonly log: Log;
  logOf(service: ServiceName): Log;
  readonly suite: SuiteProcess;
  readonly pools: Map<ServiceName, Pool>;
  readonly metrics: Metrics;
}

/** The ground for either mode: an empty process, and pools that are made when they are first asked for. */
export function layGround(parts: Omit<Ground, 'suite' | 'pools' | 'metrics'>): Ground {
  const metrics = createMetrics();
  const pools = new Map<ServiceName, Pool>();
  const ground: Ground = {
    ...parts,
    metrics,
    pools,
    suite: createSuiteProcess({
      config: parts.config,
      publicUrl: parts.publicUrl,
      metrics,
      dataDir: (service) => parts.directory.of(service),
      pool: (service) => poolOf(ground, service),
      log: parts.logOf,
    }),
  };
  return ground;
}

/** The service's pool, made when it is first asked for. */
export function poolOf(ground: Ground, service: ServiceName): Pool {
  const there = ground.pools.get(service);
  if (there) return there;
  const { connection, others, name } = ground.database;
  const pool = servicePool({
    connection,
    servers: [connection, ...others],
    database: name,
    service,
    password: ground.secrets.databasePasswords[service],
    log: ground.logOf(service),
  });
  ground.pools.set(service, pool);
  return pool;
}
