import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { ClientConfig } from 'pg';
import { databaseError } from './database-error.ts';

const NOT_LET_IN = /^28/;
const FORBIDDEN = '42501';
const NO_SUCH_DATABASE = '3D000';
/** Codes and messages of Node's TLS and of pg when the two sides do not agree on a protected connection. */
const TLS = /CERT|ERR_TLS|ERR_SSL|UNABLE_TO_|EPROTO/;
const TLS_WORDS = /SSL connection/;
/** pg's words for a server that asks for what it was not given. */
const NO_PASSWORD = /password must be a string/;

/**
 * A failure of the first connections to a server, in words for whoever gave its address.
 * INVALID_ARGUMENT when it does not let `admin` in, has no such database or another TLS; FORBIDDEN when `admin` may not do what is needed.
 */
export function serverError(error: unknown, admin: ClientConfig): unknown {
  if (error instanceof GigvaultError || !(error instanceof Error)) return error;
  const server = `The database server at ${placeOf(admin)}`;
  const code = String((error as { code?: unknown }).code ?? '');
  const say = (kind: 'INVALID_ARGUMENT' | 'FORBIDDEN' | 'UNAVAILABLE', why: string) =>
    new GigvaultError(kind, `${server} ${why}`, { cause: error });
  if (NOT_LET_IN.test(code) || code === NO_SUCH_DATABASE)
    return say('INVALID_ARGUMENT', `does not let "${admin.user}" in: ${error.message}.`);
  if (NO_PASSWORD.test(error.message))
    return say('INVALID_ARGUMENT', `wants a password for "${admin.user}".`);
  if (code === FORBIDDEN)
    return say('FORBIDDEN', `does not let "${admin.user}" prepare the database: ${error.message}.`);
  if (TLS.test(code) || TLS_WORDS.test(error.message))
    return say(
      'INVALID_ARGUMENT',
      `and this machine do not agree on TLS: ${error.message}. See sslmode and sslrootcert of --database-url.`,
    );
  const ours = databaseError(error);
  return ours instanceof GigvaultError && ours.code === 'UNAVAILABLE'
    ? say('UNAVAILABLE', `cannot be reached: ${reasonOf(error)}.`)
    : ours;
}

/** As `db.example.com:5432`, or a socket's directory. */
function placeOf({ host = '', port }: ClientConfig): string {
  if (host.startsWith('/')) return host;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A name with several addresses fails once for each. */
function reasonOf(error: Error): string {
  const [first] = error instanceof AggregateError ? (error.errors as Error[]) : [error];
  return (first ?? error).message;
}
