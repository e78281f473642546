import { generateKeyPairSync } from 'node:crypto';
import { type HttpServer, startHttpServer } from '@gigvault/http/http-server';
import type { MountedRoute } from '@gigvault/http/mounting';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import type { MemoryCertificateAuthority } from './memory-certificate-authority.ts';

/** What an ACME client connects to. */
export interface AcmeListenerOptions {
  readonly port: number;
  /** As `https://localhost:<port>`. */
  readonly url: string;
  /** Certifies the listener. */
  readonly ca: MemoryCertificateAuthority;
  readonly routes: readonly MountedRoute[];
}

/** A real HTTPS listener on 127.0.0.1 for the routes of `enroll`. */
export function startAcmeListener(options: AcmeListenerOptions): Promise<HttpServer> {
  const { port, url, ca, routes } = options;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificationRequest = buildCertificationRequest({
    privateKey,
    subject: [],
    subjectAltName: [{ type: 'dns', value: 'localhost' }],
  });
  const issued = ca.issue({
    requestId: 'listener',
    requester: 'test',
    certificationRequest,
    now: systemClock.now(),
  });
  return startHttpServer({
    listeners: ['public'],
    host: '127.0.0.1',
    port,
    baseUrl: url,
    behindProxy: false,
    tls: {
      key: privateKey.export({ format: 'pem', type: 'pkcs8' }),
      cert: toPem('CERTIFICATE', issued.certificate) + toPem('CERTIFICATE', ca.issuer),
    },
    routes,
    log: silentLog,
    metrics: createMetrics(),
  });
}
