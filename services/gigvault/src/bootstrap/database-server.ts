import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { connectionTls, type TlsChoice } from '@gigvault/database/connection-tls';
import { adminPasswordFile, clusterPath } from '@gigvault/database/embedded/cluster';
import { serverError } from '@gigvault/database/server-error';
import { findWritableServer, type ServerAddress } from '@gigvault/database/writable-server';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import type { Log } from '@gigvault/telemetry/log';
import type { ClientConfig } from 'pg';
import type { GigvaultConfig } from '../gigvault.config.ts';
import type { DataDirectory } from './data-directory.ts';
import { type DatabaseAddress, readDatabaseUrl } from './database-url.ts';
import { keepEmbedded } from './keep-embedded.ts';
import { lost, needsItsDatabase } from './root-directory.ts';

/** The server that holds the database. */
export interface DatabaseServer {
  /** Who prepares the database there; its `database` is where that begins. */
  readonly admin: ClientConfig & { readonly host: string; readonly port: number };
  /** Where it may be as well; empty where there is one server only. */
  readonly others: readonly ServerAddress[];
  /** GigVault's database. */
  readonly name: string;
  readonly tls: TlsChoice;
  /** As `PostgreSQL 18.4.0 embedded · /var/lib/gigvault/pg`. */
  readonly description: string;
  /** Who else may have a database there: on a server of its own, nobody. */
  readonly shared: undefined | { readonly place: string; readonly mustBeThere: boolean };
  /** Ends the embedded one; leaves another alone. */
  stop(): Promise<void>;
  /** The same at once, without waiting: for a process that exits. */
  abandon(): void;
}

/** What `databaseNote` holds: for a start that forgets to say which database it is. */
export interface DatabaseNote {
  readonly host: string;
  readonly port: number;
  readonly name: string;
}

/** The embedded server's database, and where the first connection goes. */
const NAME = 'gigvault';
const MAINTENANCE = 'postgres';

/**
 * Before anything is made: the configured database can be the one that this data directory's CAs are recorded in. Errors:
 * INVALID_ARGUMENT saying why it cannot.
 */
export async function checkDatabase(
  directory: DataDirectory,
  config: GigvaultConfig,
): Promise<void> {
  const { url } = config.database;
  const isEmbedded = hasEmbedded(directory);
  if (url !== undefined) {
    if (isEmbedded)
      refuse(
        `This data directory has a database of its own, ${directory.postgres}: leave --database-url away. To move it: docs/operations/database.md.`,
      );
    await readDatabaseUrl(url, processSecrets(config));
    return;
  }
  if (isEmbedded) {
    requireAdminPassword(directory);
    return;
  }
  const note = readNote(directory);
  if (note !== undefined)
    refuse(
      `This data directory uses the database "${note.name}" at ${note.host}:${note.port}: give --database-url.`,
    );
  if (needsItsDatabase(directory, config))
    refuse(
      `This data directory holds CAs, but its database, ${directory.postgres}, is gone. Nothing was changed. Restore it from a backup, or give --database-url: docs/operations/database.md.`,
    );
}

/** The server that the configuration names, or the embedded one, started. After checkDatabase. */
export async function startDatabaseServer(
  directory: DataDirectory,
  config: GigvaultConfig,
  log: Log,
): Promise<DatabaseServer> {
  const { url } = config.database;
  return url === undefined
    ? embeddedServer(directory, log)
    : externalServer(
        directory,
        await readDatabaseUrl(url, processSecrets(config)),
        needsItsDatabase(directory, config),
      );
}

/** By a file that every cluster has: the folder alone may be what a disk is mounted on. */
function hasEmbedded({ postgres }: DataDirectory): boolean {
  return existsSync(join(clusterPath(postgres), 'PG_VERSION'));
}

/** Without it nobody can prepare the cluster. */
function requireAdminPassword({ postgres }: DataDirectory): void {
  if (!existsSync(adminPasswordFile(postgres)))
    throw lost(postgres, [adminPasswordFile(postgres)], 'has a database');
}

async function externalServer(
  directory: DataDirectory,
  { user, password, name, tls, others = [], ...first }: DatabaseAddress,
  mustBeThere: boolean,
): Promise<DatabaseServer> {
  const servers = [first, ...others].map(({ host, port }) => ({ host, port }));
  const login = {
    user,
    ...(password === undefined ? {} : { password }),
    database: MAINTENANCE,
    ssl: connectionTls(servers, tls),
  };
  const { host, port } = others.length === 0 ? first : await writable(servers, login);
  return {
    admin: { host, port, ...login },
    others: servers.filter((server) => server.host !== host || server.port !== port),
    name,
    tls,
    description: `PostgreSQL at ${host}:${port} · ${name}`,
    shared: { place: `${directory.path} on ${hostname()}`, mustBeThere },
    stop: async () => undefined,
    abandon: () => undefined,
  };
}

function writable(servers: readonly ServerAddress[], login: ClientConfig) {
  return findWritableServer(servers, login).catch((error: unknown) =>
    Promise.reject(serverError(error, { ...login, ...servers[0] })),
  );
}

async function embeddedServer(directory: DataDirectory, log: Log): Promise<DatabaseServer> {
  const { server, stop, abandon } = await keepEmbedded({ dataDir: directory.postgres, log });
  const { host, port, adminUser, adminPassword } = server;
  return {
    admin: {
      host,
      port,
      user: adminUser,
      password: adminPassword,
      database: MAINTENANCE,
      ssl: false,
    },
    others: [],
    name: NAME,
    tls: {},
    description: `PostgreSQL ${server.version} embedded · ${directory.postgres}`,
    shared: undefined,
    stop,
    abandon,
  };
}

function readNote({ databaseNote }: DataDirectory): DatabaseNote | undefined {
  if (!existsSync(databaseNote)) return undefined;
  return JSON.parse(readFileSync(databaseNote, 'utf8')) as DatabaseNote;
}

function refuse(why: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', why);
}
