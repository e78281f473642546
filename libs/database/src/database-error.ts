import { types } from 'node:util';
import { GigvaultError } from '@gigvault/errors/gigvault-error';

/** SQLSTATE classes and codes that mean: the database cannot serve now (PostgreSQL manual, appendix A). */
const UNAVAILABLE = /^(08|53|57P0[1-4]|58|25006)/;
const DISK_FULL = '53100';
/** What takes a connection away that there was. */
const NETWORK = new Set([
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EPIPE',
  'ETIMEDOUT',
]);
/** Fails for many reasons of a server, a network, a name service and this machine: all mean that there is no connection now. EAGAIN is a Unix socket whose server accepts nobody. */
const CONNECTING: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo']);
const LOST =
  /Connection terminated|Query read timeout|timeout exceeded when trying to connect|timeout expired|not queryable|Client has encountered/;
/** Wrong password, unknown role, no line in pg_hba.conf; no such database. */
const NOT_LET_IN = /^(28|3D000)/;
const UNIQUE_VIOLATION = '23505';

/**
 * The failure of a query in the house's words: UNAVAILABLE when the connection or the server is gone, the disk full, connections
 * exhausted, or the role is not let in; DEADLINE_EXCEEDED on a statement timeout; CONFLICT on a deadlock or serialization failure. Anything else, as a violated
 * constraint, comes back as it is.
 */
export function databaseError(error: unknown): unknown {
  if (error instanceof GigvaultError || !types.isNativeError(error)) return error;
  const code = sqlState(error) ?? '';
  if (code === DISK_FULL) {
    return new GigvaultError('UNAVAILABLE', 'The database has no space left.', {
      cause: error,
      retryAfter: 30,
    });
  }
  if (UNAVAILABLE.test(code) || isUnreachable(error, code) || LOST.test(error.message)) {
    return new GigvaultError('UNAVAILABLE', 'The database cannot be reached.', { cause: error });
  }
  if (NOT_LET_IN.test(code)) {
    return new GigvaultError('UNAVAILABLE', 'The database does not let this service in.', {
      cause: error,
    });
  }
  if (code === '57014')
    return new GigvaultError('DEADLINE_EXCEEDED', 'The database took too long.', { cause: error });
  if (code === '40001' || code === '40P01') {
    return new GigvaultError('CONFLICT', 'Somebody else changed the same thing.', { cause: error });
  }
  return error;
}

/** True when a row stands in the way, optionally of one named constraint or unique index. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (!types.isNativeError(error) || sqlState(error) !== UNIQUE_VIOLATION) return false;
  return constraint === undefined || (error as { constraint?: string }).constraint === constraint;
}

/** @param error of a name with several addresses it is an AggregateError, with what each said */
function isUnreachable(error: Error, code: string): boolean {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  return NETWORK.has(code) || CONNECTING.has((first as { syscall?: unknown } | undefined)?.syscall);
}

function sqlState(error: Error): string | undefined {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}
