import type { X509Certificate } from 'node:crypto';

/** Whether the public listener asks for client certificates, and what they are for. */
export const CLIENT_CERTIFICATE_MODES = ['off', 'optional', 'required-and-matching'] as const;

/** One of CLIENT_CERTIFICATE_MODES. */
export type ClientCertificateMode = (typeof CLIENT_CERTIFICATE_MODES)[number];

/** What a client has shown in its TLS handshake. */
export interface ShownCertificate {
  /** Of the user that it names, lower case; absent when it is not accepted. */
  readonly name?: string | undefined;
  /** Why it is not accepted, to follow `The client certificate`. */
  readonly problem?: string | undefined;
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** What is known of a request's client by its connection. */
export interface ClientIdentity {
  /** True when each request with a token needs a certificate of the same user (P7). */
  readonly isRequired: boolean;
  /** Absent when the client has shown none. */
  readonly certificate?: ShownCertificate | undefined;
}

/** A connection's certificate as TLS left it. */
export interface VerifiedCertificate {
  readonly certificate: X509Certificate;
  /** Why its chain does not verify, as OpenSSL names it; undefined when it does. */
  readonly error: string | undefined;
}

const USER_NAME = /^[a-z0-9][a-z0-9._@+-]{0,63}$/;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/**
 * Reads whose certificate it is. Accepted is one that one of the authorities itself has signed (they do not answer for CAs beside or below them), for client
 * authentication, valid now, with one name of a user: its only rfc822Name, or its only CN when it has no subjectAltName at all, as older tools make them.
 *
 * @param now Unix milliseconds: a connection, or a TLS session, may have begun before the certificate expired
 */
export function readClientCertificate(
  { certificate, error }: VerifiedCertificate,
  authorities: readonly X509Certificate[],
  now: number,
): ShownCertificate {
  const shown = {
    serialNumber: certificate.serialNumber.toLowerCase(),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
  const name = nameOf(certificate);
  const problem = problemOf(certificate, error, authorities, now, name);
  return problem === undefined ? { ...shown, name } : { ...shown, problem };
}

function problemOf(
  certificate: X509Certificate,
  error: string | undefined,
  authorities: readonly X509Certificate[],
  now: number,
  name: string | undefined,
): string | undefined {
  if (now >= certificate.validToDate.getTime()) return 'has expired';
  if (now < certificate.validFromDate.getTime()) return 'is not valid yet';
  if (error !== undefined) return `does not verify (${error})`;
  // The chain ends at a root, and a root has other CAs: that of the services is one of them.
  const isTheirs = (ca: X509Certificate) =>
    certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  if (!authorities.some(isTheirs)) return 'is not from one of the client authorities';
  if (certificate.ca) return 'is that of a CA';
  if (!(certificate.keyUsage as readonly string[] | undefined)?.includes(CLIENT_AUTH))
    return 'is not for client authentication';
  return name === undefined ? 'names no user' : undefined;
}

/** A name of another kind beside it is no harm, a SPIFFE ID is: it is a service's. */
function nameOf(certificate: X509Certificate): string | undefined {
  const { subjectAltName } = certificate;
  if (subjectAltName === undefined) return userName(certificate.toLegacyObject().subject.CN);
  // Node quotes a name that holds anything that could be taken for another.
  if (subjectAltName.includes('"')) return undefined;
  const names = subjectAltName.split(', ');
  if (names.some((name) => /^URI:spiffe:/i.test(name))) return undefined;
  const mail = names.filter((name) => name.startsWith('email:'));
  return mail.length === 1 ? userName(mail[0]?.slice('email:'.length)) : undefined;
}

/** Undefined for several, and for what can be no user's name: those that end in @local are machines'. */
function userName(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined;
  const name = text.toLowerCase();
  return USER_NAME.test(name) && !name.endsWith('@local') ? name : undefined;
}
