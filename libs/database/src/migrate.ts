import { Client, type ClientBase, type ClientConfig, escapeIdentifier } from 'pg';
import type { MigrationInterface } from 'typeorm';
import { APPEND_ONLY, type AppendOnly, serviceRole } from './role.ts';

/** A migration's class; its instance's `name` ends in 13 digits that order it. */
export type Migration = new () => MigrationInterface;

/** One service's tables. */
export interface ServiceMigrations {
  readonly service: string;
  readonly migrations: readonly Migration[];
}

/** Where, and by whom. */
export interface MigrateOptions {
  /** As `ownerConnection` makes it. */
  readonly owner: ClientConfig;
  readonly database: string;
  readonly appendOnly?: AppendOnly;
}

const TABLE = 'migration';

/** Brings one service's schema up to date. See migrateServices. */
export function migrateService(
  options: MigrateOptions & ServiceMigrations,
): Promise<readonly string[]> {
  return migrateServices({ ...options, services: [options] });
}

/**
 * Runs what is missing of each service's migrations, each service in one transaction, under an advisory lock that makes a second
 * process wait. Returns the names of those that ran. With nothing to do it costs one connection, and TypeORM is not even loaded.
 */
export async function migrateServices(
  options: MigrateOptions & { readonly services: readonly ServiceMigrations[] },
): Promise<readonly string[]> {
  const client = new Client({ ...options.owner, application_name: 'gigvault-migrate' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    if ((await behind(client, options.services)).length === 0) return [];
    await client.query("SELECT pg_advisory_lock(hashtext('gigvault.migrate'))");
    const ran: string[] = [];
    // Asked again: whoever held the lock may have done it.
    for (const service of await behind(client, options.services)) {
      ran.push(...(await runMigrations(options, service)));
      await openMutableTables(client, options, service.service);
    }
    return ran;
  } finally {
    await client.end();
  }
}

async function behind(
  client: ClientBase,
  services: readonly ServiceMigrations[],
): Promise<ServiceMigrations[]> {
  const applied = await appliedNames(
    client,
    services.map(({ service }) => service),
  );
  return services.filter(({ service, migrations }) =>
    migrations.some((migration) => !applied.has(`${service}/${migrationName(migration)}`)),
  );
}

async function appliedNames(client: ClientBase, services: readonly string[]): Promise<Set<string>> {
  const { rows: tables } = await client.query<{ schema: string }>(
    'SELECT schemaname AS schema FROM pg_tables WHERE tablename = $1 AND schemaname = ANY($2)',
    [TABLE, services],
  );
  if (tables.length === 0) return new Set();
  const selects = tables.map(
    ({ schema }, i) =>
      `SELECT $${i + 1} || '/' || name AS name FROM ${escapeIdentifier(schema)}.${TABLE}`,
  );
  const { rows } = await client.query<{ name: string }>(
    selects.join(' UNION ALL '),
    tables.map(({ schema }) => schema),
  );
  return new Set(rows.map(({ name }) => name));
}

async function runMigrations(
  options: MigrateOptions,
  { service, migrations }: ServiceMigrations,
): Promise<string[]> {
  const [{ DataSource }, pg] = await Promise.all([import('typeorm'), import('pg')]);
  const { host, port, user, password, ssl } = options.owner;
  const source = new DataSource({
    type: 'postgres',
    driver: pg.default ?? pg,
    host,
    port,
    username: user,
    password: password as string,
    ssl: ssl as boolean,
    database: options.database,
    schema: service,
    migrations: [...migrations],
    migrationsTableName: TABLE,
    migrationsTransactionMode: 'all',
    installExtensions: false,
    synchronize: false,
    logging: false,
    extra: { max: 2, options: `-c search_path=${service}`, application_name: 'gigvault-migrate' },
  });
  await source.initialize();
  try {
    return (await source.runMigrations()).map(({ name }) => `${service}/${name}`);
  } finally {
    await source.destroy();
  }
}

async function openMutableTables(
  client: ClientBase,
  options: MigrateOptions,
  service: string,
): Promise<void> {
  const tables = (options.appendOnly ?? APPEND_ONLY)[service] ?? [];
  const { rows } = await client.query<{ name: string }>(
    'SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename = ANY($2)',
    [service, tables],
  );
  const role = escapeIdentifier(serviceRole(options.database, service));
  for (const { name } of rows) {
    const table = `${escapeIdentifier(service)}.${escapeIdentifier(name)}`;
    await client.query(`GRANT UPDATE, DELETE ON ${table} TO ${role}`);
  }
}

function migrationName(migration: Migration): string {
  return new migration().name ?? migration.name;
}
