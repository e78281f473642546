import { createHmac } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { Client, type ClientBase, type ClientConfig, escapeIdentifier, escapeLiteral } from 'pg';
import { claimDatabase, type Installation } from './ownership.ts';
import { APPEND_ONLY, type AppendOnly, ownerRole, serviceRole } from './role.ts';
import { scramVerifier } from './scram.ts';
import { serverError } from './server-error.ts';

/** What must exist before a service can connect. */
export interface ProvisionOptions {
  /** A user that may create roles and, unless it is there, the database; it need not be a superuser. `database`: where it does that. */
  readonly admin: ClientConfig;
  /** As `gigvault`. Made when it is missing. */
  readonly database: string;
  /** A schema and a role each. */
  readonly services: readonly string[];
  /** By service; printable ASCII. */
  readonly passwords: Readonly<Record<string, string>>;
  readonly ownerPassword: string;
  readonly appendOnly?: AppendOnly;
  /** Whose database it becomes or must be. Left out where nobody else can have it: the embedded server's. */
  readonly installation?: Installation;
  /** True when something is recorded in it already: then another, or an empty one, is refused. */
  readonly mustBeThere?: boolean;
}

/** Raised when what `provision` does changes, so that existing databases are brought up to it. */
const VERSION = 2;

/**
 * Connection options of what prepares the database: its commits do not wait for the disk. Each step may run again, and the first
 * commit that does wait, before anything is acknowledged, makes all that was written before it durable as well.
 */
export const UNHURRIED_COMMITS = '-c synchronous_commit=off';

const NO_SUCH_DATABASE = '3D000';
/** Or is being made right now. */
const DATABASE_EXISTS = new Set(['42P04', '23505']);
const NOT_YET = new Set([NO_SUCH_DATABASE, '28P01', '28000', '42P01', '3F000']);

/**
 * Makes database, owner role, and for each service a schema, a LOGIN role without DDL that sees only it, and default privileges.
 * Idempotent; with nothing to do it costs one connection, because the last run left its fingerprint. Passwords are set to those given.
 * Whose database it is comes first: one that is another's is left as it is.
 * Errors: UNAVAILABLE when the server cannot be reached; FORBIDDEN when `admin` may not do this; INVALID_ARGUMENT when `admin` is not let
 * in, or the database is not this installation's.
 */
export async function provisionDatabase(options: ProvisionOptions): Promise<void> {
  try {
    const state = await stateOf(options);
    if (state === 'provisioned') return;
    await withDatabase(options, async (admin) => {
      if (options.mustBeThere && state === 'unknown') await requireUsed(admin, options.database);
      if (options.installation) await claimDatabase(admin, options.installation, state === 'ours');
      await makeRoles(admin, options);
      await openDatabase(admin, options);
    });
    await withClient(ownerConnection(options), (owner) => makeSchemas(owner, options));
  } catch (error) {
    throw serverError(error, options.admin);
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

/** What the owner role finds. `ours`: it is let in with our password, but something has to be done. */
async function stateOf(options: ProvisionOptions): Promise<'provisioned' | 'ours' | 'unknown'> {
  try {
    return await withClient(ownerConnection(options), async (owner) => {
      const { rows } = await owner.query<{ fingerprint: string; comment: string | null }>(
        `SELECT fingerprint, shobj_description(oid, 'pg_database') AS comment
           FROM provisioning.state, pg_database WHERE datname = current_database()`,
      );
      const isDone = rows[0]?.fingerprint === fingerprint(options);
      // A restore may leave away what is the database's own and not in it: its comment, and who may connect.
      const isMarked = !options.installation || rows[0]?.comment?.includes(options.installation.id);
      return isDone && isMarked ? 'provisioned' : 'ours';
    });
  } catch (error) {
    if (NOT_YET.has((error as { code?: string }).code ?? '')) return 'unknown';
    throw error;
  }
}

/** Runs as the administrator on the database, which is made when it is missing, unless something must be in it already. */
async function withDatabase(
  { admin, database, mustBeThere }: ProvisionOptions,
  run: (admin: ClientBase) => Promise<void>,
): Promise<void> {
  const there = { ...admin, ...target(database) };
  try {
    return await withClient(there, run);
  } catch (error) {
    if ((error as { code?: string }).code !== NO_SUCH_DATABASE) throw error;
    if (mustBeThere) throw nothingThere(database);
  }
  await withClient(admin, (client) => createDatabase(client, database, admin.user));
  await withClient(there, run);
}

async function createDatabase(
  admin: ClientBase,
  database: string,
  user: string | undefined,
): Promise<void> {
  try {
    await admin.query(`CREATE DATABASE ${escapeIdentifier(database)}`);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === '42501')
      throw new GigvaultError(
        'INVALID_ARGUMENT',
        `There is no database "${database}", and "${user}" may not make it. As an administrator: CREATE DATABASE ${escapeIdentifier(database)} OWNER ${escapeIdentifier(user ?? '')};`,
        { cause },
      );
    // Another start was first; whose it is then, is asked of the database.
    if (!DATABASE_EXISTS.has(code ?? '')) throw cause;
  }
}

async function requireUsed(admin: ClientBase, database: string): Promise<void> {
  const { rows } = await admin.query("SELECT to_regnamespace('provisioning') IS NULL AS unused");
  if (rows[0].unused) throw nothingThere(database);
}

function nothingThere(database: string): GigvaultError {
  return new GigvaultError(
    'INVALID_ARGUMENT',
    `This data directory holds CAs, but the database "${database}" holds nothing of them. Nothing was changed. Look at --database-url, or restore the database from a backup.`,
  );
}

async function makeRoles(admin: ClientBase, options: ProvisionOptions): Promise<void> {
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
