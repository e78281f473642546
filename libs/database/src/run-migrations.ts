import pg, { escapeIdentifier } from 'pg';
import { DataSource, type QueryRunner } from 'typeorm';
import {
  MIGRATION_TABLE,
  type MigrateOptions,
  migrationName,
  migrationTime,
  type ServiceMigrations,
} from './migration.ts';
import { UNHURRIED_COMMITS } from './provision.ts';
import { APPEND_ONLY, serviceRole } from './role.ts';

/**
 * Runs these migrations over one connection, one transaction a service; `<service>/<name>` of each. A module of its own: it
 * loads TypeORM, which a start with nothing to migrate does without.
 */
export async function runMigrations(
  options: MigrateOptions,
  services: readonly ServiceMigrations[],
): Promise<string[]> {
  const source = await connect(options);
  const runner = source.createQueryRunner();
  try {
    const ran: string[] = [];
    for (const service of services) ran.push(...(await migrateSchema(runner, service, options)));
    return ran;
  } finally {
    await runner.release();
    await source.destroy();
  }
}

function connect({ owner, database }: MigrateOptions): Promise<DataSource> {
  const { host, port, user, password, ssl } = owner;
  return new DataSource({
    type: 'postgres',
    driver: pg,
    host,
    port,
    username: user,
    password: password as string,
    ssl: ssl as boolean,
    database,
    installExtensions: false,
    synchronize: false,
    logging: false,
    extra: { max: 1, options: UNHURRIED_COMMITS, application_name: 'gigvault-migrate' },
  }).initialize();
}

async function migrateSchema(
  runner: QueryRunner,
  { service, migrations }: ServiceMigrations,
  options: MigrateOptions,
): Promise<string[]> {
  await runner.startTransaction();
  try {
    await runner.query(`SET LOCAL search_path = ${escapeIdentifier(service)}`);
    await runner.query(
      `CREATE TABLE IF NOT EXISTS ${MIGRATION_TABLE} (id serial PRIMARY KEY, "timestamp" bigint NOT NULL, name varchar NOT NULL)`,
    );
    for (const migration of migrations) {
      await new migration().up(runner);
      await runner.query(`INSERT INTO ${MIGRATION_TABLE} ("timestamp", name) VALUES ($1, $2)`, [
        migrationTime(migration),
        migrationName(migration),
      ]);
    }
    await openMutableTables(runner, options, service);
    await runner.commitTransaction();
  } catch (error) {
    await runner.rollbackTransaction();
    throw error;
  }
  return migrations.map((migration) => `${service}/${migrationName(migration)}`);
}

async function openMutableTables(
  runner: QueryRunner,
  options: MigrateOptions,
  service: string,
): Promise<void> {
  const tables = (options.appendOnly ?? APPEND_ONLY)[service] ?? [];
  const rows: { name: string }[] = await runner.query(
    'SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 AND tablename = ANY($2)',
    [service, tables],
  );
  const role = escapeIdentifier(serviceRole(options.database, service));
  for (const { name } of rows)
    await runner.query(`GRANT UPDATE, DELETE ON ${escapeIdentifier(name)} TO ${role}`);
}
