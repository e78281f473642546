import { resolve } from 'node:path';
import { processEnvironment } from '@gigvault/config/process-environment';
import { resolveSecret, secretReference } from '@gigvault/config/secret';
import { SSL_MODES, type TlsChoice } from '@gigvault/database/connection-tls';
import { LONGEST_DATABASE_NAME } from '@gigvault/database/role';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** What `--database-url` says. */
export interface DatabaseAddress {
  /** A name, an address without brackets, or a socket's directory. */
  readonly host: string;
  readonly port: number;
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
const PARAMETERS = ['sslmode', 'sslrootcert'];

/**
 * `postgres://user:password@host:5432/name?sslmode=verify-full&sslrootcert=/path`, or what lies at `file:///path` or `env://NAME`.
 * Errors: INVALID_ARGUMENT saying what is wrong with `database.url`, never what it is.
 */
export function readDatabaseUrl(given: string): DatabaseAddress {
  const place = secretReference.safeParse(given);
  const url = parse(place.success ? resolveSecret(place.data, processEnvironment).trim() : given);
  const host = decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '' || host.includes(',')) refuse('must name one host');
  const user = decode(url.username);
  if (user === '') refuse('must name a user');
  return {
    host,
    port: url.port === '' ? PORT : Number(url.port),
    user,
    password: decode(url.password) || undefined,
    name: nameOf(decode(url.pathname.slice(1)) || NAME),
    tls: tlsOf(url.searchParams),
  };
}

function parse(text: string): URL {
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
      refuse(`must have no parameters but ${PARAMETERS.join(' and ')}, once each, not "${name}"`);
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
