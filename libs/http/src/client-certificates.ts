import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import {
  type ClientCertificateMode,
  type ClientIdentity,
  readClientCertificate,
} from '@gigvault/access/client-certificate';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { z } from 'zod';

/**
 * By which the edge proxy tells a service what a client has proved in its TLS handshake; what a client sends under this name is dropped there, and read
 * nowhere else than behind the edge.
 */
export const CLIENT_HEADER = 'x-gigvault-client';

/** How a listener takes client certificates. */
export interface ClientCertificates {
  readonly mode: Exclude<ClientCertificateMode, 'off'>;
  /** The CAs from which they must come, up to their roots, PEM. */
  readonly authorities: string;
}

/** What is written of it in a configuration, below `https`. */
export interface ClientCertificatesConfig {
  readonly clientCertificates: ClientCertificateMode;
  readonly clientAuthorities?: string | undefined;
}

/**
 * What a configuration says; undefined for `off`. @param never the services' CA, PEM: who is a service is no person
 * Errors: INVALID_ARGUMENT for a bundle that cannot be read, has no certificate, or has that CA.
 */
export function clientCertificatesOf(
  { clientCertificates: mode, clientAuthorities: file }: ClientCertificatesConfig,
  never: string,
): ClientCertificates | undefined {
  if (mode === 'off') return undefined;
  if (file === undefined) throw unusable('is not named');
  let authorities: string;
  try {
    authorities = readFileSync(file, 'utf8');
    const refused = new Set(certificatesIn(never).map(({ fingerprint256 }) => fingerprint256));
    const found = certificatesIn(authorities);
    if (found.length === 0) throw unusable(`${file} has no certificate`);
    if (found.some(({ fingerprint256 }) => refused.has(fingerprint256)))
      throw unusable(`${file} has the services' CA, which is for services only`);
  } catch (cause) {
    if (cause instanceof GigvaultError) throw cause;
    throw unusable(`${file} cannot be read`, cause);
  }
  return { mode, authorities };
}

function unusable(what: string, cause?: unknown): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', `https.clientAuthorities ${what}.`, { cause });
}

/** For a listener that takes them: whoever has none, or a wrong one, still gets an answer. */
export function clientCertificateTls({ authorities }: ClientCertificates) {
  return { ca: authorities, requestCert: true, rejectUnauthorized: false };
}

/** Reads what the client of a request has proved; undefined where nothing is asked of it. */
export type ClientReader = (request: IncomingMessage) => ClientIdentity | undefined;

/** For a listener whose handshakes fail without a certificate that verifies. @param certificate of the connection, DER */
export function verifiedClientReader(
  { authorities }: ClientCertificates,
  clock: Clock,
): (certificate: Buffer | undefined) => ClientIdentity {
  const known = certificatesIn(authorities);
  return (der) => {
    if (der === undefined) return { isRequired: true };
    const verified = { certificate: new X509Certificate(der), error: undefined };
    const certificate = readClientCertificate(verified, known, clock.now());
    return { isRequired: true, certificate };
  };
}

/** Of connections that end here. */
export function clientReader(options: ClientCertificates, clock: Clock): ClientReader {
  const authorities = certificatesIn(options.authorities);
  const isRequired = options.mode === 'required-and-matching';
  /** Verified once a connection, with the time of the request. */
  const read = new WeakMap<TLSSocket, X509Certificate>();
  return ({ socket }) => {
    if (!(socket instanceof TLSSocket)) return { isRequired };
    const certificate = read.get(socket) ?? socket.getPeerX509Certificate();
    // `authorized` is true as well for a resumed session without a certificate: it is the certificate that is asked for first.
    if (certificate === undefined) return { isRequired };
    read.set(socket, certificate);
    const error = socket.authorized ? undefined : String(socket.authorizationError);
    const verified = { certificate, error };
    return { isRequired, certificate: readClientCertificate(verified, authorities, clock.now()) };
  };
}

const clientSchema = z.strictObject({
  isRequired: z.boolean(),
  certificate: z
    .strictObject({
      name: z.string().optional(),
      problem: z.string().optional(),
      serialNumber: z.string(),
      sha256: z.string(),
    })
    .optional(),
});

/** The value of CLIENT_HEADER. */
export function encodeClient(client: ClientIdentity): string {
  return Buffer.from(JSON.stringify(client)).toString('base64url');
}

/** Of what encodeClient has made. Errors: INVALID_ARGUMENT. */
export function decodeClient(text: string): ClientIdentity {
  try {
    return clientSchema.parse(JSON.parse(Buffer.from(text, 'base64url').toString()));
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'What the edge says of the client is unreadable.', {
      cause,
    });
  }
}

/** Behind the edge. Errors: INVALID_ARGUMENT for what the edge cannot have written. */
export const clientFromEdge: ClientReader = ({ headers }) => {
  const header = headers[CLIENT_HEADER];
  return header === undefined ? undefined : decodeClient(String(header));
};

function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}
