import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import type { Mode, PkiProcess } from '@gigvault/testkit/pki-process';

/** Where the operators of one process look. */
export interface Operators {
  /** Base URL. */
  readonly admin: string;
  readonly metrics: string;
  /** Trusts both. To be closed. */
  readonly http: HttpClient;
}

/** The operators' listeners of the one process, or of the one that runs this service; the edge has none for the admin. */
export function operatorsOf(name: ServiceName | 'edge', mode: Mode, pki: PkiProcess): Operators {
  if (mode === 'one process') {
    const url = (listener: string) =>
      new RegExp(`^ {2}${listener} +(https://127\\.0\\.0\\.1:\\d+)`, 'm').exec(
        pki.output(),
      )?.[1] as string;
    return {
      admin: url('Admin'),
      metrics: `${url('Metrics')}/metrics`,
      http: httpClient(readFileSync(pki.rootFile)),
    };
  }
  const { services } = JSON.parse(readFileSync(join(pki.dataDir, 'run.json'), 'utf8')) as {
    services: { service: string; admin: number; metrics: number }[];
  };
  const found = services.find(({ service }) => service === name);
  const url = (port: number | undefined) => `https://127.0.0.1:${port}`;
  return {
    admin: url(found?.admin),
    metrics: `${url(found?.metrics)}/metrics`,
    // By its mTLS identity, whose name is no host's.
    http: httpClient(readFileSync(join(pki.dataDir, 'tls', 'services-ca.crt')), {
      allowPartialTrustChain: true,
      checkServerIdentity: () => undefined,
    }),
  };
}
