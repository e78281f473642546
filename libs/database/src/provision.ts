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
  await makeRole(admin, ownerRole(database), options.ownerPassword);
  for (const service of services)
    await makeRole(admin, serviceRole(database, service), passwordOf(passwords, service));
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [
    database,
  ]);
  if (rowCount === 0) await admin.query(`CREATE DATABASE ${escapeIdentifier(database)}`);
}

async function openDatabase(admin: ClientBase, options: ProvisionOptions): Promise<void> {
  const database = escapeIdentifier(options.database);
  const owner = escapeIdentifier(ownerRole(options.database));
  const roles = options.services.map((service) =>
    escapeIdentifier(serviceRole(options.database, service)),
  );
  await admin.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  await admin.query(`GRANT CONNECT, CREATE, TEMPORARY ON DATABASE ${database} TO ${owner}`);
  await admin.query(`REVOKE ALL ON SCHEMA public FROM PUBLIC`);
  if (roles.length > 0)
    await admin.query(`GRANT CONNECT ON DATABASE ${database} TO ${roles.join(', ')}`);
  for (const service of options.services) {
    const role = escapeIdentifier(serviceRole(options.database, service));
    await admin.query(
      `ALTER ROLE ${role} IN DATABASE ${database} SET search_path = ${escapeIdentifier(service)}`,
    );
  }
}

async function makeSchemas(owner: ClientBase, options: ProvisionOptions): Promise<void> {
  await owner.query('BEGIN');
  await owner.query("SELECT pg_advisory_xact_lock(hashtext('gigvault.provision'))");
  await owner.query('CREATE SCHEMA IF NOT EXISTS provisioning');
  await owner.query(
    'CREATE TABLE IF NOT EXISTS provisioning.state (id boolean PRIMARY KEY DEFAULT true CHECK (id), fingerprint text NOT NULL)',
  );
  for (const service of options.services) await makeSchema(owner, options, service);
  await owner.query(
    'INSERT INTO provisioning.state (fingerprint) VALUES ($1) ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint',
    [fingerprint(options)],
  );
  await owner.query('COMMIT');
}

async function makeSchema(
  owner: ClientBase,
  options: ProvisionOptions,
  service: string,
): Promise<void> {
  const schema = escapeIdentifier(service);
  const role = escapeIdentifier(serviceRole(options.database, service));
  const isAppendOnly = Object.hasOwn(options.appendOnly ?? APPEND_ONLY, service);
  const privileges = isAppendOnly ? 'SELECT, INSERT' : 'SELECT, INSERT, UPDATE, DELETE';
  await owner.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await owner.query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`);
  await owner.query(
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT ${privileges} ON TABLES TO ${role}`,
  );
  await owner.query(
    `ALTER DEFAULT PRIVILEGES IN SCHEMA ${schema} GRANT USAGE, SELECT ON SEQUENCES TO ${role}`,
  );
}

async function makeRole(admin: ClientBase, role: string, password: string): Promise<void> {
  const { rowCount } = await admin.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  const verb = rowCount === 0 ? 'CREATE' : 'ALTER';
  await admin.query(
    `${verb} ROLE ${escapeIdentifier(role)} LOGIN NOCREATEDB NOCREATEROLE PASSWORD ${escapeLiteral(scramVerifier(password))}`,
  );
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
