import { type EmbeddedPostgres, startEmbeddedPostgres } from '@gigvault/database/embedded-postgres';
import { migrateServices } from '@gigvault/database/migrate';
import { ownerConnection, provisionDatabase } from '@gigvault/database/provision';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import type { ClientConfig } from 'pg';
import { SERVICES } from '../composition/services.ts';
import type { DataDirectory } from './data-directory.ts';
import type { Secrets } from './secrets.ts';

/** A database that is provisioned and migrated. */
export interface OpenDatabase {
  /** Without user and password: each service has its own. */
  readonly connection: { readonly host: string; readonly port: number };
  readonly name: string;
  /** As `PostgreSQL 18.4 embedded`. */
  readonly description: string;
  /** A superuser's connection of the embedded database, for tests that look behind the services; absent with --database-url. */
  readonly admin: ClientConfig;
  stop(): Promise<void>;
}

/** The database's name. */
export const DATABASE = 'gigvault';

/** Starts the embedded PostgreSQL, or connects to the given one, and brings roles, schemas and tables up to date. */
export async function openDatabase(options: {
  readonly directory: DataDirectory;
  readonly secrets: Secrets;
  readonly url: string | undefined;
  readonly log: Log;
}): Promise<OpenDatabase> {
  const { secrets } = options;
  const embedded =
    options.url === undefined
      ? await keepEmbedded({ dataDir: options.directory.postgres, log: options.log })
      : undefined;
  const admin = embedded ? adminOf(embedded.server) : adminOfUrl(options.url as string);
  const owner = { admin, database: DATABASE, ownerPassword: secrets.databaseOwner };
  await provisionDatabase({
    ...owner,
    services: SERVICE_NAMES,
    passwords: secrets.databasePasswords,
  });
  await migrateServices({
    owner: ownerConnection(owner),
    database: DATABASE,
    services: SERVICE_NAMES.map((service) => ({
      service,
      migrations: SERVICES[service].migrations as never,
    })),
  });
  return {
    connection: { host: admin.host as string, port: admin.port as number },
    name: DATABASE,
    description: embedded
      ? `PostgreSQL ${embedded.server.version} embedded · ${options.directory.postgres}`
      : `PostgreSQL at ${admin.host}:${admin.port}`,
    admin,
    stop: async () => embedded?.stop(),
  };
}

/** Milliseconds between the end of a server that nobody stopped and its next start. */
const RESTART_DELAY = 200;

/** Runs the embedded server, and starts it again when it ends by itself: on the same socket, so that pools find it. */
async function keepEmbedded(options: {
  readonly dataDir: string;
  readonly log: Log;
}): Promise<{ readonly server: EmbeddedPostgres; stop(): Promise<void> }> {
  let server = await startEmbeddedPostgres(options);
  const stopping = new AbortController();

  async function supervise(): Promise<void> {
    while (!stopping.signal.aborted) {
      await server.gone;
      if (stopping.signal.aborted) return;
      options.log.error(
        { operation: 'database' },
        'the embedded database ended by itself; starting it again',
      );
      await systemClock.sleep(RESTART_DELAY, stopping.signal);
      server = await startEmbeddedPostgres(options);
    }
  }

  supervise().catch((error: unknown) => {
    if (!stopping.signal.aborted)
      options.log.error(
        { error, operation: 'database' },
        'the embedded database cannot be started again',
      );
  });
  return {
    server,
    stop() {
      stopping.abort(new Error('stopping'));
      return server.stop();
    },
  };
}

function adminOf(embedded: EmbeddedPostgres): ClientConfig {
  return {
    host: embedded.host,
    port: embedded.port,
    user: embedded.adminUser,
    password: embedded.adminPassword,
    database: 'postgres',
  };
}

/** The parts of `postgres://user:password@host:port/database`; a connection string would win over the fields set beside it. */
function adminOfUrl(url: string): ClientConfig {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    host: decodeURIComponent(hostname),
    port: port === '' ? 5432 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1) || 'postgres',
  };
}
