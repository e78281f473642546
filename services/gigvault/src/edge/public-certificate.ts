import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { writeFileDurably } from '@gigvault/files/durable-file';
import { isRevoked } from '@gigvault/host/own-certificate';
import { LOOK_INTERVAL, renewalPause } from '@gigvault/host/renewal-pause';
import type { Reloader } from '@gigvault/host/service';
import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { Client } from '@gigvault/rpc/call';
import { isRenewalDue } from '@gigvault/rpc/mtls-identity';
import { failureLog, type Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';

/** Whichever key of the issuing CA has signed it. */
const ANY_KEY = '';

/** Where the public listener's key and certificate lie, and who signs them: `ca` knows the listener's names. */
export interface PublicCertificate {
  /** `privateKey` holds the key and the chain; `certificate` is a copy of the chain for people and tools. */
  readonly files: { readonly certificate: string; readonly privateKey: string };
  readonly issuance: Client<IssuanceService>;
  readonly certificates: Client<CertificateService>;
  readonly clock: Clock;
}

/** TLS options of the public listener; a certificate is issued when there is none, or when the one there is due. */
export async function publicTls(options: PublicCertificate): Promise<SecureContextOptions> {
  if (isDue(options)) await issue(options);
  const { certificate } = options.files;
  if (!existsSync(certificate))
    await writeFileDurably(certificate, chainOf(readPem(options)), 0o644);
  return readTls(options);
}

function readTls(options: PublicCertificate): SecureContextOptions {
  // Both stand in one file: they change together, in one rename.
  const pem = readPem(options);
  return { cert: pem, key: pem };
}

function readPem({ files }: PublicCertificate): string {
  return readFileSync(files.privateKey, 'utf8');
}

/** What follows the key. */
function chainOf(pem: string): string {
  return pem.slice(pem.indexOf('-----BEGIN CERTIFICATE-----'));
}

function isDue(options: PublicCertificate): boolean {
  if (!existsSync(options.files.privateKey)) return true;
  const pem = readPem(options);
  return !pem.includes('BEGIN CERTIFICATE') || isRenewalDue(pem, options.clock.now());
}

/** Takes over a certificate of the public listener that somebody else put into its file. */
export function publicCertificateReloader(
  options: PublicCertificate,
  use: (tls: SecureContextOptions) => void,
): Reloader {
  return {
    name: 'certificate of the public listener',
    async reload() {
      const tls = await publicTls(options);
      // Throws for what TLS cannot use.
      createSecureContext(tls);
      use(tls);
    },
  };
}

/** Renews the public listener's certificate after two thirds of its life, and within a minute of its revocation, with a new key. */
export function publicCertificateRenewal(
  options: PublicCertificate & { log: Log; use(tls: SecureContextOptions): void },
): Worker {
  const log = options.log.child({ operation: 'certificate-renewal' });
  const failures = failureLog(
    log,
    'certificate of the public listener could not be renewed',
    'certificate of the public listener is looked after again',
  );
  return periodic({
    name: 'edge.certificate-renewal',
    clock: options.clock,
    interval: LOOK_INTERVAL,
    async round() {
      const due = isDue(options);
      const revoked = !due && (await isRevoked(options.certificates, ANY_KEY, readPem(options)));
      if (!due && !revoked) {
        failures.worked();
        return renewalPause(options.clock, readPem(options));
      }
      await issue(options);
      options.use(readTls(options));
      failures.worked();
      if (revoked)
        log.warn({}, 'certificate of the public listener was revoked; it has a new key now');
      else log.info({}, 'certificate of the public listener renewed');
      return renewalPause(options.clock, readPem(options));
    },
    onError: (error) => failures.failed('warn', error),
  });
}

async function issue(options: PublicCertificate): Promise<void> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issued = await options.issuance.issueInternalCertificate({
    requestId: randomUUID(),
    profile: 'edge',
    issuerId: 'issuing',
    certificationRequest: buildCertificationRequest({
      privateKey,
      subject: [],
      subjectAltName: [],
    }),
  });
  const chain = [issued.certificate, ...issued.chain.slice(0, -1)]
    .map((der) => toPem('CERTIFICATE', der))
    .join('');
  await writeFileDurably(
    options.files.privateKey,
    `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${chain}`,
    0o600,
  );
  await writeFileDurably(options.files.certificate, chain, 0o644);
}
