import type { SecureContextOptions } from 'node:tls';
import { readIdentity } from '@gigvault/host/identity-files';
import { identityReloader } from '@gigvault/host/identity-reloader';
import { identityRenewal } from '@gigvault/host/identity-renewal';
import { API_ACCESS_KEYS } from '@gigvault/host/process-config';
import type { Reloadable } from '@gigvault/host/reload';
import { DRAIN_LIMIT } from '@gigvault/host/service-process';
import type { CertificateService } from '@gigvault/proto/ca/v1/certificate';
import type { IssuanceService } from '@gigvault/proto/ca/v1/issuance';
import type { Client } from '@gigvault/rpc/call';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { processSecrets } from '@gigvault/secrets/process-secrets';
import { systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import {
  configuredCertificate,
  configuredCertificateReloader,
  readConfiguredTlsAtStart,
} from '../edge/configured-certificate.ts';
import {
  publicCertificateReloader,
  publicCertificateRenewal,
  publicTls,
} from '../edge/public-certificate.ts';
import type { GigvaultConfig } from '../gigvault.config.ts';
import type { SelfCheckClients } from '../self-check/self-check.ts';
import { type Ground, poolOf } from './ground.ts';
import { internalGrpcPort } from './grpc-ports.ts';
import { serveSuite } from './one-process.ts';
import { startSplit } from './split.ts';
import type { ProcessPorts } from './split-ports.ts';

/** Where operators and peers find it: one process on three ports, or each service on three of its own, and the edge. */
export type Listeners =
  | {
      readonly grpc: number;
      readonly admin: number;
      readonly metrics: number;
      /** People's gRPC. */
      readonly keyApi?: number | undefined;
    }
  | readonly ProcessPorts[];

/** What the two modes have in common once they serve. */
export interface Serving {
  readonly clients: SelfCheckClients;
  readonly listeners: Listeners;
  /** What it says in the `services` line. */
  readonly say: string;
  readonly reloadable: Reloadable<GigvaultConfig>;
  stop(): Promise<void>;
}

/** What certificates of GigVault's own are asked of. */
interface CaClients {
  readonly issuance: Client<IssuanceService>;
  readonly certificates: Client<CertificateService>;
}

/** This process's own identity as the peer `gigvault`, and what renews it. */
function ownIdentity({ config, directory, log }: Ground) {
  const files = directory.identity('gigvault');
  const identity = createMtlsIdentity('gigvault', config.trustDomain, readIdentity(files));
  return {
    identity,
    reloader: identityReloader(identity, files),
    renewal: (ca: CaClients): Worker =>
      identityRenewal({ identity, files, ...ca, clock: systemClock, log }),
  };
}

/** Serves with every service in this process. @param shutdown what `POST /admin/v1/shutdown` does */
export async function serveInOneProcess(ground: Ground, shutdown: () => void): Promise<Serving> {
  const { config, directory, secrets, publicUrl, suite, metrics, log } = ground;
  const { identity, reloader, renewal } = ownIdentity(ground);
  const client = <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) =>
    suite.broker.client('gigvault', service as never, callee) as S;
  const ca: CaClients = {
    issuance: suite.broker.client('gigvault', RPC.issuance, 'ca'),
    certificates: suite.broker.client('gigvault', RPC.certificate, 'ca'),
  };
  const certificate = { files: directory.edge, ...ca, clock: systemClock };
  const own = await publicTls(certificate);
  const configured = configuredCertificate(config.https.tls, {
    secrets: processSecrets(config),
    clock: systemClock,
  });
  const listeners = await serveSuite(
    suite,
    {
      config,
      publicUrl,
      statusUrl: ground.config.status.publicUrl ?? `http://localhost:${config.http.port}`,
      identity,
      publicTls: configured === undefined ? own : await readConfiguredTlsAtStart(configured),
      operatorTls: own,
      adminToken: secrets.adminToken,
      log,
      metrics,
      shutdown,
    },
    poolOf(ground, 'ca'),
  );
  const useOwn = (tls: SecureContextOptions) => {
    listeners.replaceOperatorTls(tls);
    if (configured === undefined) listeners.replacePublicTls(tls);
  };
  const workers: Worker[] = [
    publicCertificateRenewal({ ...certificate, log, use: useOwn }),
    renewal(ca),
  ];
  for (const worker of workers) await worker.start();
  return {
    clients: selfCheckClients(client),
    listeners: {
      grpc: internalGrpcPort(config),
      keyApi: listeners.keyApi?.port,
      admin: listeners.adminPort,
      metrics: listeners.metricsPort,
    },
    say: suite
      .running()
      .map((service) => service.name)
      .join(' '),
    reloadable: {
      keys: [{ keys: API_ACCESS_KEYS, apply: (next) => listeners.replaceAccess(next.https) }],
      reloaders: [
        reloader,
        publicCertificateReloader(certificate, useOwn),
        ...(configured === undefined
          ? []
          : [configuredCertificateReloader(configured, listeners.replacePublicTls)]),
        ...suite.running().flatMap((service) => service.reloaders),
      ],
    },
    async stop() {
      for (const worker of workers) await worker.stop();
      await listeners.drain(DRAIN_LIMIT);
      await listeners.close();
    },
  };
}

/** Serves with a process for each service and the edge proxy before them. */
export async function serveSplit(ground: Ground): Promise<Serving> {
  const { config, directory, secrets, publicUrl, suite, database, log } = ground;
  // The bootstrap's keymgr and ca give way to the processes that go on with their tables.
  for (const service of [...suite.running()].reverse()) await service.stop();
  const split = await startSplit({
    config,
    sections: ground.written,
    publicUrl,
    directory,
    secrets,
    database: {
      host: database.connection.host,
      port: database.connection.port,
      others: database.others,
      name: database.name,
      ...database.tls,
    },
    log,
  });
  const own = ownIdentity(ground);
  const clients = createGrpcClients(own.identity, split.addresses);
  const renewal = own.renewal({
    issuance: clients.client(RPC.issuance, 'ca'),
    certificates: clients.client(RPC.certificate, 'ca'),
  });
  await renewal.start();
  return {
    clients: selfCheckClients(
      <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) =>
        clients.client(service as never, callee) as S,
    ),
    listeners: split.ports,
    say: `${split.processes.length} processes: ${split.processes.join(' ')}`,
    reloadable: {
      keys: [{ keys: ['log.level', ...API_ACCESS_KEYS], apply: split.rewrite }],
      // Last: by then the processes' files say what is new.
      reloaders: [own.reloader, { name: 'processes', reload: split.hangup }],
    },
    async stop() {
      await renewal.stop();
      clients.close();
      await split.stop();
    },
  };
}

function selfCheckClients(
  client: <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) => S,
): SelfCheckClients {
  return {
    audit: client(RPC.audit, 'audit'),
    enrolment: client(RPC.enrolment, 'ra'),
    issuer: client(RPC.issuer, 'ca'),
    revocation: client(RPC.revocation, 'ca'),
    token: client(RPC.token, 'auth'),
  };
}
