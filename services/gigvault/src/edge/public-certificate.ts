import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { writeFileDurably } from '@gigvault/host/atomic-file';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { Client } from '@gigvault/rpc/call';
import { renewalTime } from '@gigvault/rpc/mtls-identity';
import type { Log } from '@gigvault/telemetry/log';
import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import { toPem } from '@gigvault/x509/pem';

/** Where the public listener's key and certificate lie, and for which host they are. */
export interface PublicCertificate {
  readonly files: { readonly certificate: string; readonly privateKey: string };
  /** As `https://localhost:8443`. */
  readonly publicUrl: string;
  readonly issuance: Client<IssuanceService>;
  readonly clock: Clock;
}

/** TLS options of the public listener; a certificate is issued when there is none, or when the one there is due. */
export async function publicTls(options: PublicCertificate): Promise<SecureContextOptions> {
  const { files } = options;
  if (
    !existsSync(files.certificate) ||
    options.clock.now() >= renewalTime(readFileSync(files.certificate, 'utf8'))
  ) {
    await issue(options);
  }
  return { cert: readFileSync(files.certificate), key: readFileSync(files.privateKey) };
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
      if (options.clock.now() < renewalTime(readFileSync(options.files.certificate, 'utf8')))
        return;
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
  const subjectAltName = listenerNames(options.publicUrl);
  const issued = await options.issuance.issueInternalCertificate({
    requestId: randomUUID(),
    profile: 'edge',
    issuerId: 'issuing',
    certificationRequest: buildCertificationRequest({ privateKey, subject: [], subjectAltName }),
    subjectAltName,
  });
  const chain = [issued.certificate, ...issued.chain.slice(0, -1)]
    .map((der) => toPem('CERTIFICATE', der))
    .join('');
  writeFileDurably(
    options.files.privateKey,
    privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    0o600,
  );
  writeFileDurably(options.files.certificate, chain, 0o644);
}

/** The public URL's host, and for `localhost` the loopback addresses that it means. */
function listenerNames(publicUrl: string): GeneralName[] {
  const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '');
  const named: GeneralName =
    isIP(host) === 0 ? { type: 'dns', value: host } : { type: 'ip', value: host };
  if (host !== 'localhost') return [named];
  return [named, { type: 'ip', value: '127.0.0.1' }, { type: 'ip', value: '::1' }];
}
