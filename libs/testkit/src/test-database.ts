import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { postgresBinaries } from '@gigvault/database/embedded/binaries';
import { startEmbeddedPostgres } from '@gigvault/database/embedded-postgres';
import { migrateService } from '@gigvault/database/migrate';
import type { Migration } from '@gigvault/database/migration';
import { servicePool } from '@gigvault/database/pools';
import { ownerConnection, provisionDatabase } from '@gigvault/database/provision';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { type ClientConfig, Pool } from 'pg';
import { pausePostgres } from './pause-postgres.ts';

/** A PostgreSQL of a test's own. */
export interface TestDatabase {
  /** The superuser, on the database `gigvault`. */
  readonly admin: ClientConfig;
  /** Makes schema and role, migrates, and returns a pool of the runtime role, ended by `stop`. May be asked for a service again. */
  pool(service: ServiceName, migrations: readonly Migration[]): Promise<Pool>;
  /** A pool of the owner role with the service's schema as search path: sees and changes everything. */
  ownerPool(service: ServiceName): Pool;
  /** Makes the server hang. @returns ends that; must be called before `stop` */
  pause(): () => void;
  /** Ends the pools and the server and removes its files. */
  stop(): Promise<void>;
}

const DATABASE = 'gigvault';
const PASSWORD = 'only-for-tests';

/** Raised when initdb is called otherwise, so that old templates are left alone. */
const TEMPLATE_VERSION = 1;
const run = promisify(execFile);

/**
 * Starts a real PostgreSQL in a temporary directory, once per test file, in beforeAll. The first on a machine initialises a cluster; the
 * others copy it. It is killed at the end, not shut down: its files go as well.
 */
export async function startTestDatabase(): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), 'gigvault-test-'));
  const dataDir = join(directory, 'pg');
  await copyCluster(await clusterTemplate(), dataDir);
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog });
  const server = { host: postgres.host, port: postgres.port };
  const admin = {
    ...server,
    user: postgres.adminUser,
    password: postgres.adminPassword,
    database: 'postgres',
  };
  const owner = ownerConnection({ admin, database: DATABASE, ownerPassword: PASSWORD });
  const services: ServiceName[] = [];
  const pools: Pool[] = [];

  async function pool(service: ServiceName, migrations: readonly Migration[]): Promise<Pool> {
    if (!services.includes(service)) services.push(service);
    const passwords = Object.fromEntries(services.map((name) => [name, PASSWORD]));
    await provisionDatabase({
      admin,
      database: DATABASE,
      services,
      passwords,
      ownerPassword: PASSWORD,
    });
    await migrateService({ owner, database: DATABASE, service, migrations });
    const made = servicePool({
      connection: server,
      database: DATABASE,
      service,
      password: PASSWORD,
      log: silentLog,
    });
    pools.push(made);
    return made;
  }

  return {
    admin: { ...admin, database: DATABASE },
    pool,
    ownerPool(service) {
      const made = new Pool({ ...owner, max: 2, options: `-c search_path=${service}` });
      made.on('error', () => undefined);
      pools.push(made);
      return made;
    },
    pause: () => pausePostgres(postgres.pid),
    async stop() {
      await Promise.all(pools.map((made) => (made.ended ? undefined : made.end())));
      await postgres.stop('immediate');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A data directory that was initialised and never used. */
async function clusterTemplate(): Promise<string> {
  const { version } = await postgresBinaries(tmpdir());
  const template = join(
    tmpdir(),
    `gigvault-template-${TEMPLATE_VERSION}-${version}-${userInfo().uid}`,
  );
  if (await exists(join(template, 'cluster'))) return template;
  const directory = await mkdtemp(join(tmpdir(), 'gigvault-template-'));
  const dataDir = join(directory, 'pg');
  await (await startEmbeddedPostgres({ dataDir, log: silentLog })).stop();
  await rename(dataDir, template).catch((error: NodeJS.ErrnoException) => {
    // Another worker of the same run was first.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  await rm(directory, { recursive: true, force: true });
  return template;
}

/** `cp -a` keeps the owner, which is PostgreSQL's own user when the tests run as root. */
async function copyCluster(template: string, dataDir: string): Promise<void> {
  await mkdir(dataDir, { mode: 0o700 });
  await run('cp', ['-a', join(template, 'cluster'), join(template, 'admin-password'), dataDir]);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
