import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { SecretReference, SecretResolver } from '@gigvault/config/secret';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Reloader } from '@gigvault/host/service';
import type { Clock } from '@gigvault/time/clock';
import { fromPem } from '@gigvault/x509/pem';

/** Where the certificate of another CA lies that people's listeners have instead of one of GigVault's own. */
export interface ConfiguredCertificate {
  /** PEM: the listener's certificate, then who signed it, and so on; the root may be missing. */
  readonly certificateFile: string;
  readonly privateKey: SecretReference;
  readonly secrets: SecretResolver;
  readonly clock: Clock;
}

/** What `https.tls` names; undefined: GigVault's own CA issues one. */
export function configuredCertificate(
  tls: Partial<Pick<ConfiguredCertificate, 'certificateFile' | 'privateKey'>>,
  around: Pick<ConfiguredCertificate, 'secrets' | 'clock'>,
): ConfiguredCertificate | undefined {
  const { certificateFile, privateKey } = tls;
  // The schema lets neither stand without the other.
  if (certificateFile === undefined || privateKey === undefined) return undefined;
  return { certificateFile, privateKey, ...around };
}

/**
 * Both, as TLS takes them. Errors: INVALID_ARGUMENT naming the file and what is wrong: it cannot be read, is not in the order of RFC 8446 §4.4.2, is not
 * valid now, or the key is another one's; those of the place of the key.
 */
export async function readConfiguredTls(
  configured: ConfiguredCertificate,
): Promise<SecureContextOptions> {
  const expired = whatExpired(configured);
  if (expired !== undefined) refuse(configured.certificateFile, expired);
  return readConfiguredTlsAtStart(configured);
}

/** Of the certificates the first that has expired, as `the certificate of CN=a.example expired at …`. Errors: INVALID_ARGUMENT when they cannot be read. */
export function whatExpired({
  certificateFile,
  clock,
}: Pick<ConfiguredCertificate, 'certificateFile' | 'clock'>): string | undefined {
  const expired = readChain(certificateFile).find(
    ({ validToDate }) => clock.now() > validToDate.getTime(),
  );
  return expired && `${nameOf(expired)} expired at ${expired.validToDate.toISOString()}`;
}

/**
 * The same, but one that has expired is shown: OCSP and CRLs, which need none, must not be away with it after a restart. Errors: those of
 * readConfiguredTls but this.
 */
export async function readConfiguredTlsAtStart(
  configured: ConfiguredCertificate,
): Promise<SecureContextOptions> {
  const { certificateFile, clock } = configured;
  const chain = readChain(certificateFile);
  for (const certificate of chain) requireBegun(certificateFile, certificate, clock.now());
  requireOrder(certificateFile, chain);
  const key = await readKey(configured);
  if (!chain[0]?.checkPrivateKey(key))
    refuse(certificateFile, `its first certificate is not of the key ${configured.privateKey}`);
  const tls = { cert: chain.map(String).join(''), key: key.export(PKCS8) };
  try {
    createSecureContext(tls);
  } catch (cause) {
    refuse(certificateFile, `TLS cannot use it (${(cause as Error).message})`);
  }
  return tls;
}

const PKCS8 = { type: 'pkcs8', format: 'pem' } as const;

/** Takes over what was put into the files. */
export function configuredCertificateReloader(
  configured: ConfiguredCertificate,
  use: (tls: SecureContextOptions) => void,
): Reloader {
  return {
    name: 'certificate of the public listener',
    reload: async () => use(await readConfiguredTls(configured)),
  };
}

function readChain(file: string): X509Certificate[] {
  try {
    return fromPem(readFileSync(file, 'utf8'), 'CERTIFICATE').map(
      (der) => new X509Certificate(der),
    );
  } catch (cause) {
    return refuse(file, `it cannot be read (${(cause as Error).message})`);
  }
}

function requireBegun(file: string, certificate: X509Certificate, now: number): void {
  const begin = certificate.validFromDate;
  if (now < begin.getTime())
    refuse(file, `${nameOf(certificate)} is not valid before ${begin.toISOString()}`);
}

function requireOrder(file: string, chain: readonly X509Certificate[]): void {
  for (const [i, issuer] of chain.slice(1).entries()) {
    const subject = chain[i] as X509Certificate;
    if (!subject.checkIssued(issuer) || !subject.verify(issuer.publicKey))
      refuse(
        file,
        `${nameOf(issuer)} has not signed ${nameOf(subject)}, which stands before it: the listener's own certificate comes first`,
      );
  }
}

async function readKey({ privateKey, secrets }: ConfiguredCertificate): Promise<KeyObject> {
  const pem = await secrets.resolve(privateKey);
  try {
    return createPrivateKey(pem);
  } catch {
    // What OpenSSL says of it might hold some of it.
    return refuse(privateKey, 'it is no private key in PEM without a passphrase');
  }
}

/** As it is known, in one line. */
function nameOf({ subject, subjectAltName }: X509Certificate): string {
  return `the certificate of ${subject?.replaceAll('\n', ', ') || subjectAltName || 'nobody'}`;
}

function refuse(place: string, why: string): never {
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    `The public listener's certificate is refused: ${place}: ${why}.`,
  );
}
