import { Client, type ClientBase, escapeIdentifier } from 'pg';
import {
  MIGRATION_TABLE,
  type MigrateOptions,
  migrationName,
  migrationTime,
  type ServiceMigrations,
} from './migration.ts';

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
    const { runMigrations } = await import('./run-migrations.ts');
    await client.query("SELECT pg_advisory_lock(hashtext('gigvault.migrate'))");
    // Asked again: whoever held the lock may have done it.
    return await runMigrations(options, await behind(client, options.services));
  } finally {
    await client.end();
  }
}

/** The services that lack migrations, with those, in order. */
async function behind(
  client: ClientBase,
  services: readonly ServiceMigrations[],
): Promise<ServiceMigrations[]> {
  const applied = await appliedNames(
    client,
    services.map(({ service }) => service),
  );
  return services
    .map(({ service, migrations }) => ({
      service,
      migrations: migrations
        .filter((migration) => !applied.has(`${service}/${migrationName(migration)}`))
        .sort((a, b) => migrationTime(a) - migrationTime(b)),
    }))
    .filter(({ migrations }) => migrations.length > 0);
}

async function appliedNames(client: ClientBase, services: readonly string[]): Promise<Set<string>> {
  const { rows: tables } = await client.query<{ schema: string }>(
    'SELECT schemaname AS schema FROM pg_tables WHERE tablename = $1 AND schemaname = ANY($2)',
    [MIGRATION_TABLE, services],
  );
  if (tables.length === 0) return new Set();
  const selects = tables.map(
    ({ schema }, i) =>
      `SELECT $${i + 1} || '/' || name AS name FROM ${escapeIdentifier(schema)}.${MIGRATION_TABLE}`,
  );
  const { rows } = await client.query<{ name: string }>(
    selects.join(' UNION ALL '),
    tables.map(({ schema }) => schema),
  );
  return new Set(rows.map(({ name }) => name));
}
