import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { ServerAddress } from './writable-server.ts';

/**
 * How a connection is protected, in libpq's words (PostgreSQL manual, §34.19.1). `allow` and `prefer` are missing: whoever is in between
 * turns them into `disable`.
 */
export const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;

/** What somebody has said about TLS. */
export interface TlsChoice {
  /** Default: `disable` on this machine, `verify-full` to any other. */
  readonly sslMode?: (typeof SSL_MODES)[number] | undefined;
  /** PEM file of the CAs that may have signed the server's certificate. Default: the public ones that Node knows. */
  readonly sslRootCert?: string | undefined;
}

/** `ssl` of connections to these servers, whichever of them it is in the end. As with libpq, `require` with CAs is `verify-ca`. Errors: INVALID_ARGUMENT when the file cannot be read. */
export function connectionTls(
  servers: readonly ServerAddress[],
  { sslMode, sslRootCert }: TlsChoice,
): ConnectionOptions | false {
  const mode = sslMode ?? (servers.every(isThisMachine) ? 'disable' : 'verify-full');
  if (mode === 'disable') return false;
  const ca = sslRootCert === undefined ? {} : { ca: readCas(sslRootCert) };
  const rejectUnauthorized = mode !== 'require' || sslRootCert !== undefined;
  return mode === 'verify-full'
    ? { ...ca, rejectUnauthorized }
    : { ...ca, rejectUnauthorized, checkServerIdentity: () => undefined };
}

/** A socket's directory, or a loopback address. */
function isThisMachine({ host }: ServerAddress): boolean {
  return (
    host.startsWith('/') ||
    host === 'localhost' ||
    host === '::1' ||
    (isIP(host) === 4 && host.startsWith('127.'))
  );
}

function readCas(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  } catch (cause) {
    const why = `sslrootcert ${path} cannot be read: ${(cause as Error).message}`;
    throw new GigvaultError('INVALID_ARGUMENT', why, { cause });
  }
  throw new GigvaultError('INVALID_ARGUMENT', `sslrootcert ${path} holds no certificate.`);
}
