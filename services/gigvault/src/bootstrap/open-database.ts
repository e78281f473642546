import { createHmac } from 'node:crypto';
import type { TlsChoice } from '@gigvault/database/connection-tls';
import { migrateServices } from '@gigvault/database/migrate';
import { ownerConnection, provisionDatabase } from '@gigvault/database/provision';
import type { ServerAddress } from '@gigvault/database/writable-server';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import type { ClientConfig } from 'pg';
import { SERVICES } from '../composition/services.ts';
import type { DataDirectory } from './data-directory.ts';
import type { DatabaseNote, DatabaseServer } from './database-server.ts';
import type { Secrets } from './secrets.ts';

/** A database that is provisioned and migrated. */
export interface OpenDatabase {
  /** Without user and password: each service has its own. */
  readonly connection: ClientConfig & { readonly host: string; readonly port: number };
  /** Where it may be as well. */
  readonly others: readonly ServerAddress[];
  readonly name: string;
  /** As it was said, for processes that connect by themselves. */
  readonly tls: TlsChoice;
  /** As `PostgreSQL 18.4 embedded`. */
  readonly description: string;
}

/**
 * Brings roles, schemas and tables of this server up to date, and notes in the data directory which database it has.
 * Errors: as provisionDatabase.
 */
export async function openDatabase(
  server: DatabaseServer,
  secrets: Secrets,
  directory: DataDirectory,
): Promise<OpenDatabase> {
  const { admin, others, name, tls, description, shared } = server;
  const owner = { admin, database: name, ownerPassword: secrets.databaseOwner };
  const owned = shared && {
    installation: { id: installationId(secrets), place: shared.place },
    mustBeThere: shared.mustBeThere,
  };
  await provisionDatabase({
    ...owner,
    ...owned,
    services: SERVICE_NAMES,
    passwords: secrets.databasePasswords,
  });
  const { host, port } = admin;
  const note: DatabaseNote = { host, port, name };
  if (shared) await writeFileDurably(directory.databaseNote, JSON.stringify(note), 0o600);
  await migrateServices({
    owner: ownerConnection(owner),
    database: name,
    services: SERVICE_NAMES.map((service) => ({
      service,
      migrations: SERVICES[service].migrations as never,
    })),
  });
  return { connection: { host, port, ssl: admin.ssl }, others, name, tls, description };
}

/** Goes with the secrets, so that a restored data directory is the same one. It stands in the open; the password is not seen through it. */
function installationId({ databaseOwner }: Secrets): string {
  return createHmac('sha256', databaseOwner)
    .update('gigvault.installation')
    .digest('hex')
    .slice(0, 16);
}
