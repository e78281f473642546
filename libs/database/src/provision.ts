import { createHmac } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { Client, type ClientBase, type ClientConfig, escapeIdentifier, escapeLiteral } from 'pg';
import { databaseError } from './database-error.ts';
import { APPEND_ONLY, type AppendOnly, ownerRole, serviceRole } from './role.ts';
import { scramVerifier } from './scram.ts';

/** What must exist before a service can connect. */
export interface ProvisionOptions {
  /** A user that may create roles and the database; it need not be a superuser. */
  readonly admin: ClientConfig;
  /** As `gigvault`. Made when it is missing. */
  readonly database: string;
  /** A schema and a role each. */
  readonly services: readonly string[];
  /** By service; printable ASCII. */
  readonly passwords: Readonly<Record<string, string>>;
  readonly ownerPassword: string;
  readonly appendOnly?: AppendOnly;
}

/** Raised when what `provision` does changes, so that existing databases are brought up to it. */
const VERSION = 1;

/**
 * Connection options of what prepares the database: its commits do not wait for the disk. Each step may run again, and the first
 * commit that does wait, before anything is acknowledged, makes all that was written before it durable as well.
 */
export const UNHURRIED_COMMITS = '-c synchronous_commit=off';

const NOT_YET = new Set(['3D000', '28P01', '28000', '42P01', '3F000']);

/**
 * Makes database, owner role, and for each service a schema, a LOGIN role without DDL that sees only it, and default privileges.
 * Idempotent; with nothing to do it costs one connection, because the last run left its fingerprint. Passwords are set to those given.
 * Errors: UNAVAILABLE when the server cannot be reached; FORBIDDEN when `admin` may not do this.
 */
export async function provisionDatabase(options: ProvisionOptions): Promise<void> {
  try {
    if (await isProvisioned(options)) return;
    await withClient(options.admin, (admin) => makeRolesAndDatabase(admin, options));
    await withClient({ ...options.admin, ...target(options.database) }, (admin) =>
      openDatabase(admin, options),
    );
    await withClient(ownerConnection(options), (owner) => makeSchemas(owner, options));
  } catch (error) {
    if ((error as { code?: string }).code === '42501') {
      throw new GigvaultError(
        'FORBIDDEN',
        `The database user may not prepare the database: ${(error as Error).message}.`,
        {
          cause: error,
        },
      );
    }
    throw databaseError(error);
  }
}

/** How the owner role connects: `admin`'s server, another name. */
export function ownerConnection(
  options: Pick<ProvisionOptions, 'admin' | 'database' | 'ownerPassword'>,
): ClientConfig {
  const { database, ownerPassword } = options;
  return {
    ...options.admin,
    ...target(database),
    user: ownerRole(database),
    password: ownerPassword,
  };
}

/** A connection string would win over the fields beside it, so its parts are taken out by whoever passes `admin`. */
function target(database: string): ClientConfig {
  return { connectionString: undefined, database };
}

async function isProvisioned(options: ProvisionOptions): Promise<boolean> {
  try {
    return await withClient(ownerConnection(options), async (owner) => {
      const { rows } = await owner.query<{ fingerprint: string }>(
        'SELECT fingerprint FROM provisioning.state',
      );
      return rows[0]?.fingerprint === fingerprint(options);
    });
  } catch (error) {
    if (NOT_YET.has((error as { code?: string }).code ?? '')) return false;
    throw error;
  }
}

async function makeRolesAndDatabase(admin: ClientBase, options: ProvisionOptions): Promise<void> {
  const { database, services, passwords } = options;
  const roles = [
    { name: ownerRole(database), password: options.ownerPassword },
    ...services.map((service) => ({
      name: serviceRole(database, service),
      password: passwordOf(passwords, service),
    })),
  ];
  const { rows } = await admin.query<{ rolname: string }>(
    'SELECT rolname FROM pg_roles WHERE rolname = ANY($1)',
    [roles.map((role) => role.name)],
  );
  const there = new Set(rows.map((row) => row.rolname));
  await all(
    admin,
    roles.map(
      ({ name, password }) =>
        `${there.has(name) ? 'ALTER' : 'CREATE'} ROLE ${escapeIdentifier(name)} LOGIN NOCREATEDB NOCREATEROLE PASSWORD ${escapeLiteral(scramVerifier(password))}`,
    ),
  );
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [
    database,
  ]);
  if (rowCount === 0) await admin.query(`CREATE DATABASE ${escapeIdentifier(database)}`);
}

async function openDatabase(admin: ClientBase, options: ProvisionOptions): Promise<void> {
  const database = escapeIdentifier(options.database);
  const owner = escapeIdentifier(ownerRole(options.database));
  const roles = options.services.map((service) => ({
    schema: escapeIdentifier(service),
    name: escapeIdentifier(serviceRole(options.database, service)),
  }));
  await all(admin, [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    `GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${database} TO ${owner}`,
    'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    ...roles.flatMap(({ name, schema }) => [
      `GRANT CONNECT ON DATABASE ${database} TO ${name}`,
      `ALTER ROLE ${name} IN DATABASE ${database} SET search_path = ${schema}`,
    ]),
  ]);
}

async function makeSchemas(owner: ClientBase, options: ProvisionOptions): Promise<void> {
  await all(owner, [
    "SELECT pg_advisory_xact_lock(hashtext('gigvault.provision'))",
    'CREATE SCHEMA IF NOT EXISTS provisioning',
    'CREATE TABLE IF NOT EXISTS provisioning.state (id boolean PRIMARY KEY DEFAULT true CHECK (id), fingerprint text NOT NULL)',
    ...options.services.flatMap((service) => schemaStatements(options, service)),
    `INSERT INTO provisioning.state (fingerprint) VALUES (${escapeLiteral(fingerprint(options))})
     ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint`,
  ]);
}

function schemaStatements(options: ProvisionOptions, service: string): string[] {
  const schema = escapeIdentifier(service);
  const role = escapeIdentifier(serviceRole(options.database, service));
  const isAppendOnly = Object.hasOwn(options.appendOnly ?? APPEND_ONLY, service);
  const privileges = isAppendOnly ? 'SELECT, INSERT' : 'SELECT, INSERT, UPDATE, DELETE';
  const byDefault = `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT`;
  return [
    `CREATE SCHEMA IF NOT EXISTS ${schema}`,
    `GRANT USAGE ON SCHEMA ${schema} TO ${role}`,
    `${byDefault} ${privileges} ON TABLES TO ${role}`,
    `${byDefault} USAGE, SELECT ON SEQUENCES TO ${role}`,
  ];
}

/** One round trip and, as the simple query protocol has it, one transaction. */
async function all(client: ClientBase, statements: readonly string[]): Promise<void> {
  await client.query(statements.join(';\n'));
}

function passwordOf(passwords: Readonly<Record<string, string>>, service: string): string {
  const password = passwords[service];
  if (password) return password;
  throw new GigvaultError('INVALID_ARGUMENT', `No database password for the service ${service}.`);
}

function fingerprint(options: ProvisionOptions): string {
  const services = [...options.services]
    .sort()
    .map((service) => [service, options.passwords[service]]);
  const appendOnly = Object.keys(options.appendOnly ?? APPEND_ONLY).sort();
  const content = JSON.stringify([VERSION, options.database, services, appendOnly]);
  return createHmac('sha256', options.ownerPassword).update(content).digest('hex');
}

async function withClient<T>(
  config: ClientConfig,
  run: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    connectionTimeoutMillis: 10_000,
    application_name: 'gigvault-provision',
    options: UNHURRIED_COMMITS,
    ...config,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await run(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
