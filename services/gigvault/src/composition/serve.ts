import { readIdentity } from '@gigvault/host/identity-files';
import { identityRenewal } from '@gigvault/host/identity-renewal';
import { DRAIN_LIMIT } from '@gigvault/host/service-process';
import { RPC } from '@gigvault/rpc/contracts';
import { createGrpcClients } from '@gigvault/rpc/grpc-client';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import { publicCertificateRenewal, publicTls } from '../edge/public-certificate.ts';
import type { SelfCheckClients } from '../self-check/self-check.ts';
import { type Ground, poolOf } from './ground.ts';
import { serveSuite } from './one-process.ts';
import { startSplit } from './split.ts';

/** What the two modes have in common once they serve. */
export interface Serving {
  readonly clients: SelfCheckClients;
  readonly adminPort: number | undefined;
  readonly metricsPort: number | undefined;
  /** What it says in the `services` line. */
  readonly say: string;
  stop(): Promise<void>;
}

/** Serves with every service in this process. @param shutdown what `POST /admin/v1/shutdown` does */
export async function serveInOneProcess(ground: Ground, shutdown: () => void): Promise<Serving> {
  const { config, directory, secrets, publicUrl, suite, metrics, log } = ground;
  const identity = createMtlsIdentity(
    'gigvault',
    config.trustDomain,
    readIdentity(directory.identity('gigvault')),
  );
  const client = <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) =>
    suite.broker.client('gigvault', service as never, callee) as S;
  const certificate = {
    files: directory.edge,
    issuance: suite.broker.client('gigvault', RPC.issuance, 'ca'),
    clock: systemClock,
  };
  const listeners = await serveSuite(
    suite,
    {
      config,
      publicUrl,
      statusUrl: ground.config.status.publicUrl ?? `http://localhost:${config.http.port}`,
      identity,
      publicTls: await publicTls(certificate),
      adminToken: secrets.adminToken,
      log,
      metrics,
      shutdown,
    },
    poolOf(ground, 'ca'),
  );
  const workers: Worker[] = [
    publicCertificateRenewal({
      ...certificate,
      log,
      use: (tls) => listeners.replaceTls(tls),
    }),
    identityRenewal({
      identity,
      files: directory.identity('gigvault'),
      issuance: certificate.issuance,
      clock: systemClock,
      log,
    }),
  ];
  for (const worker of workers) await worker.start();
  return {
    clients: selfCheckClients(client),
    adminPort: listeners.adminPort,
    metricsPort: listeners.metricsPort,
    say: suite
      .running()
      .map((service) => service.name)
      .join(' '),
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
    database: { ...database.connection, name: database.name },
    log,
  });
  const identity = createMtlsIdentity(
    'gigvault',
    config.trustDomain,
    readIdentity(directory.identity('gigvault')),
  );
  const clients = createGrpcClients(identity, split.addresses);
  const renewal = identityRenewal({
    identity,
    files: directory.identity('gigvault'),
    issuance: clients.client(RPC.issuance, 'ca'),
    clock: systemClock,
    log,
  });
  await renewal.start();
  return {
    clients: selfCheckClients(
      <S>(service: (typeof RPC)[keyof typeof RPC], callee: ServiceName) =>
        clients.client(service as never, callee) as S,
    ),
    adminPort: undefined,
    metricsPort: undefined,
    say: `${split.processes().length} processes: ${split
      .processes()
      .map((process) => process.name)
      .join(' ')}`,
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
