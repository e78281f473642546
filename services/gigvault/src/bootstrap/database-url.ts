import { resolve } from 'node:path';
import { type SecretResolver, secretReference } from '@gigvault/config/secret';
import { SSL_MODES, type TlsChoice } from '@gigvault/database/connection-tls';
import { LONGEST_DATABASE_NAME } from '@gigvault/database/role';
import type { ServerAddress } from '@gigvault/database/writable-server';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** What `--database-url` says. */
export interface DatabaseAddress extends ServerAddress {
  /** Where it is as well: a primary and its standbys, in any order. Undefined: there is one server. */
  readonly others?: readonly ServerAddress[];
  readonly user: string;
  /** Undefined: pg's own places, as PGPASSWORD. */
  readonly password: string | undefined;
  /** GigVault's database. */
  readonly name: string;
  readonly tls: TlsChoice;
}

const PORT = 5432;
const NAME = 'gigvault';
/** Every server has them; they are nobody's own. */
const SHARED = ['postgres', 'template0', 'template1'];
const PARAMETERS = ['sslmode', 'sslrootcert', 'target_session_attrs'];
/** `postgres://`, user and password, hosts, the rest. */
const PARTS = /^([a-z]+:\/\/)([^/?#]*@)?([^/?#@]*)(.*)$/s;

/** What `database.url` says, or what lies at the place that it names. Errors: those of the resolver, of parseDatabaseUrl. */
export async function readDatabaseUrl(
  given: string,
  secrets: SecretResolver,
): Promise<DatabaseAddress> {
  const place = secretReference.safeParse(given);
  return parseDatabaseUrl(place.success ? (await secrets.resolve(place.data)).trim() : given);
}

/**
 * `postgres://user:password@host:5432/name?sslmode=verify-full&sslrootcert=/path`.
 * With several hosts, as `one:5432,two:5432` (libpq's form), of the one that takes writes.
 * Errors: INVALID_ARGUMENT saying what is wrong with `database.url`, never what it is.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const [url, ...more] = parse(text);
  const server = serverOf(url);
  const others = more.map(serverOf);
  const user = decode(url.username);
  if (user === '') refuse('must name a user');
  return {
    ...server,
    ...(others.length === 0 ? {} : { others }),
    user,
    password: decode(url.password) || undefined,
    name: nameOf(decode(url.pathname.slice(1)) || NAME),
    tls: tlsOf(url.searchParams),
  };
}

/** One URL for each host. */
function parse(text: string): [URL, ...URL[]] {
  const [, scheme, login = '', hosts = '', rest] = PARTS.exec(text) ?? [];
  if (!hosts.includes(',')) return [parseOne(text)];
  const urls = hosts.split(',').map((host) => parseOne(`${scheme}${login}${host}${rest}`));
  return urls as [URL, ...URL[]];
}

function serverOf(url: URL): ServerAddress {
  const host = decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '') refuse('must name a host, or several with commas in between');
  return { host, port: url.port === '' ? PORT : Number(url.port) };
}

function parseOne(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hash === '') return url;
  return refuse(
    'must be as postgres://user:password@host:5432/gigvault, with # ? / : @ % as %23 …',
  );
}

function nameOf(name: string): string {
  if (SHARED.includes(name))
    refuse(`must name a database of GigVault's own, as …/${NAME}: every server has "${name}"`);
  if (Buffer.byteLength(name) > LONGEST_DATABASE_NAME)
    refuse(
      `must name a database of at most ${LONGEST_DATABASE_NAME} octets: roles are named after it`,
    );
  return name;
}

function tlsOf(parameters: URLSearchParams): TlsChoice {
  for (const name of parameters.keys())
    if (!PARAMETERS.includes(name) || parameters.getAll(name).length > 1)
      refuse(`must have no parameters but ${PARAMETERS.join(', ')}, once each, not "${name}"`);
  const wanted = parameters.get('target_session_attrs') ?? 'read-write';
  if (wanted !== 'read-write')
    refuse(`must have target_session_attrs=read-write, which holds anyway, not "${wanted}"`);
  const mode = parameters.get('sslmode') ?? undefined;
  const sslMode = SSL_MODES.find((known) => known === mode);
  if (sslMode !== mode) refuse(`must have sslmode=${SSL_MODES.join(', ')}, not "${mode}"`);
  const file = parameters.get('sslrootcert') ?? undefined;
  return { sslMode, sslRootCert: file === undefined ? undefined : resolve(file) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse('must have each % that means itself as %25');
  }
}

function refuse(message: string): never {
  const problems = [{ pointer: 'database.url', message }];
  throw new GigvaultError('INVALID_ARGUMENT', 'The configuration is wrong.', { problems });
}
