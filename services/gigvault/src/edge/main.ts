import type { SecureContextOptions } from 'node:tls';
import { parseArgs } from 'node:util';
import { loadConfig } from '@gigvault/config/load-config';
import { processEnvironment } from '@gigvault/config/process-environment';
import { keepMemoryPrivate } from '@gigvault/files/private-memory';
import { installedVersion } from '@gigvault/host/home';
import { readIdentity } from '@gigvault/host/identity-files';
import { identityReloader } from '@gigvault/host/identity-reloader';
import { identityRenewal } from '@gigvault/host/identity-renewal';
import { startMetricsListener } from '@gigvault/host/operator-listeners';
import { API_ACCESS_KEYS, publicTlsVersions } from '@gigvault/host/process-config';
import { createReload, reloadOnHangup } from '@gigvault/host/reload';
import { DRAIN_LIMIT } from '@gigvault/host/service-process';
import { failProcess, stopWithSupervisor } from '@gigvault/host/supervised';
import { createAdmission } from '@gigvault/http/admission';
import type { ApiAccess } from '@gigvault/http/api-gate';
import { clientCertificatesOf } from '@gigvault/http/client-certificates';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity, serverTls } from '@gigvault/rpc/mtls-identity';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import { createLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { systemClock } from '@gigvault/time/clock';
import {
  configuredCertificate,
  configuredCertificateReloader,
  readConfiguredTlsAtStart,
} from './configured-certificate.ts';
import { edgeConfig } from './edge.config.ts';
import { startEdgeListener } from './edge-proxy.ts';
import { startConfiguredKeyApi } from './key-api-listener.ts';
import { createNonceStock } from './nonce-stock.ts';
import {
  publicCertificateReloader,
  publicCertificateRenewal,
  publicTls,
} from './public-certificate.ts';
import { shownCertificate } from './shown-certificate.ts';

keepMemoryPrivate();
const { values } = parseArgs({
  options: { config: { type: 'string' }, supervised: { type: 'boolean' } },
  strict: true,
});
const read = () =>
  loadConfig(edgeConfig, {
    flags: {},
    environment: processEnvironment,
    ...(values.config === undefined ? {} : { file: values.config }),
  });
const config = read();
const onHangup = reloadOnHangup();
const log = createLog({
  service: 'edge',
  version: installedVersion(),
  level: config.log.level,
  destination: config.log.file ?? 2,
});
const identity = createMtlsIdentity('edge', config.trustDomain, readIdentity(config.tls));
const clients = createGrpcClients(identity, config.addresses);
const certificate = {
  files: config.publicCertificate,
  issuance: clients.client(RPC.issuance, 'ca'),
  certificates: clients.client(RPC.certificate, 'ca'),
  clock: systemClock,
};
const configured = configuredCertificate(config.https.tls, {
  secrets: processSecrets(config),
  clock: systemClock,
});
const metrics = createMetrics();
const running = await start().catch(failProcess);
onHangup(
  createReload<typeof config>({
    config,
    read,
    keys: [
      { keys: ['log.level'], apply: (next) => log.setLevel(next.log.level) },
      { keys: API_ACCESS_KEYS, apply: (next) => running.replaceAccess(next.https) },
    ],
    reloaders: [
      identityReloader(identity, config.tls),
      configured === undefined
        ? publicCertificateReloader(certificate, running.replacePublicTls)
        : configuredCertificateReloader(configured, running.replacePublicTls),
    ],
    log,
  }),
);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, running.stop);
if (values.supervised) stopWithSupervisor(running.stop);
// Last: whoever reads the ports may ask for a stop at once.
process.stdout.write(`${JSON.stringify(running.ports)}\n`);

/** A certificate of another CA is renewed by others. */
function renewalOfPublic(use: (tls: SecureContextOptions) => void) {
  return configured ? [] : [publicCertificateRenewal({ ...certificate, log, use })];
}

async function start() {
  const certificatesOfClients = clientCertificatesOf(config.https, identity.current().servicesCa);
  const upstreams = config.upstreams as Record<ServiceName, string>;
  const shared = { host: config.host, identity, upstreams, log };
  const tls = await (configured ? readConfiguredTlsAtStart(configured) : publicTls(certificate));
  const shown = shownCertificate({ metrics, clock: systemClock, log });
  shown.show(tls);
  const publicListener = await startEdgeListener({
    ...shared,
    listener: 'public',
    turningAway: {
      admission: createAdmission({ metrics }),
      nonces: createNonceStock(clients.client(RPC.nonce, 'enroll'), systemClock, log),
    },
    port: config.https.port,
    certificatesOfClients,
    tls: { ...tls, ...publicTlsVersions(config.https) },
  });
  const statusPort = config.http.port;
  const status = await startEdgeListener({ ...shared, listener: 'status', port: statusPort });
  const keyApi = await startConfiguredKeyApi(config.keyApi, {
    tls,
    access: config.https,
    certificatesOfClients,
    keyApi: clients.client(RPC.keyApi, 'keymgr'),
    log,
    metrics,
  });
  const replacePublicTls = (tls: SecureContextOptions) => {
    for (const listener of [publicListener, keyApi]) listener?.replaceTls(tls);
    shown.show(tls);
  };
  const { address: host, port } = config.metrics;
  const metricsTls = serverTls(identity);
  const metricsListener = await startMetricsListener({ host, port, tls: metricsTls, metrics });
  // Connections by address carry no server name, so they miss serverTls' own renewal.
  identity.onReplace(({ certificate: cert, privateKey: key }) =>
    metricsListener.replaceTls({ cert, key }),
  );
  const workers = [
    ...renewalOfPublic(replacePublicTls),
    identityRenewal({ ...certificate, identity, files: config.tls, log }),
  ];
  for (const worker of workers) await worker.start();
  return {
    replacePublicTls,
    replaceAccess: (access: ApiAccess) => keyApi?.replaceAccess(access),
    ports: {
      service: 'edge',
      https: publicListener.port,
      http: status.port,
      ...(keyApi && { keyApi: keyApi.port }),
      metrics: metricsListener.port,
    },
    async stop() {
      await Promise.all([
        publicListener.stop(DRAIN_LIMIT),
        status.stop(DRAIN_LIMIT),
        keyApi?.stop(DRAIN_LIMIT),
        ...workers.map((worker) => worker.stop()),
      ]);
      await metricsListener.stop();
      clients.close();
      process.exit(0);
    },
  };
}
