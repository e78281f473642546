import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { SecureContextOptions } from 'node:tls';
import { writeFileDurably } from '@gigvault/host/atomic-file';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { Client } from '@gigvault/rpc/call';
import { renewalTime } from '@gigvault/rpc/mtls-identity';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';

/** Where the public listener's key and certificate lie, and who signs them: `ca` knows the listener's names. */
export interface PublicCertificate {
  /** `privateKey` holds the key and the chain; `certificate` is a copy of the chain for people and tools. */
  readonly files: { readonly certificate: string; readonly privateKey: string };
  readonly issuance: Client<IssuanceService>;
  readonly clock: Clock;
}

/** TLS options of the public listener; a certificate is issued when there is none, or when the one there is due. */
export async function publicTls(options: PublicCertificate): Promise<SecureContextOptions> {
  if (isDue(options)) await issue(options);
  // Both stand in one file: they change together, in one rename.
  const pem = readFileSync(options.files.privateKey);
  return { cert: pem, key: pem };
}

function isDue({ files, clock }: PublicCertificate): boolean {
  if (!existsSync(files.privateKey)) return true;
  const pem = readFileSync(files.privateKey, 'utf8');
  return !pem.includes('BEGIN CERTIFICATE') || clock.now() >= renewalTime(pem);
}

/** Renews the public listener's certificate after two thirds of its life. */
export function publicCertificateRenewal(
  options: PublicCertificate & { log: Log; use(tls: SecureContextOptions): void },
): Worker {
  return periodic({
    name: 'edge.certificate-renewal',
    clock: options.clock,
    interval: 60_000,
    async round() {
      if (!isDue(options)) return;
      options.use(await publicTls(options));
      options.log.info(
        { operation: 'certificate-renewal' },
        'certificate of the public listener renewed',
      );
    },
    onError: (error) =>
      options.log.warn(
        { error, operation: 'certificate-renewal' },
        'certificate of the public listener could not be renewed',
      ),
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
  writeFileDurably(
    options.files.privateKey,
    `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${chain}`,
    0o600,
  );
  writeFileDurably(options.files.certificate, chain, 0o644);
}
