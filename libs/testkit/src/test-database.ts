import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@gigvault/database/embedded-postgres';
import { type Migration, migrateService } from '@gigvault/database/migrate';
import { servicePool } from '@gigvault/database/pools';
import { ownerConnection, provisionDatabase } from '@gigvault/database/provision';
import { silentLog } from '@gigvault/telemetry/log';
import { type ClientConfig, Pool } from 'pg';

/** A PostgreSQL of a test's own. */
export interface TestDatabase {
  /** The superuser, on the database `gigvault`. */
  readonly admin: ClientConfig;
  /** Makes schema and role, migrates, and returns a pool of the runtime role, ended by `stop`. May be asked for a service again. */
  pool(service: string, migrations: readonly Migration[]): Promise<Pool>;
  /** A pool of the owner role with the service's schema as search path: sees and changes everything. */
  ownerPool(service: string): Pool;
  /** Ends the pools and the server and removes its files. */
  stop(): Promise<void>;
}

const DATABASE = 'gigvault';
const PASSWORD = 'only-for-tests';

/** Starts a real PostgreSQL in a temporary directory: about half a second, so once per test file, in beforeAll. */
export async function startTestDatabase(): Promise<TestDatabase> {
  const directory = await mkdtemp(join(tmpdir(), 'gigvault-test-'));
  const postgres = await startEmbeddedPostgres({ dataDir: join(directory, 'pg'), log: silentLog });
  const server = { host: postgres.host, port: postgres.port };
  const admin = {
    ...server,
    user: postgres.adminUser,
    password: postgres.adminPassword,
    database: 'postgres',
  };
  const owner = ownerConnection({ admin, database: DATABASE, ownerPassword: PASSWORD });
  const services: string[] = [];
  const pools: Pool[] = [];

  async function pool(service: string, migrations: readonly Migration[]): Promise<Pool> {
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
    async stop() {
      await Promise.all(pools.map((made) => (made.ended ? undefined : made.end())));
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
