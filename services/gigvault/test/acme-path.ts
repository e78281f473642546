import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { caConfig } from '@gigvault/ca/ca.config';
import { caService } from '@gigvault/ca/ca.module';
import { enrollConfig } from '@gigvault/enroll/enroll.config';
import { enrollService } from '@gigvault/enroll/enroll.module';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { installedPeerTable } from '@gigvault/host/home';
import { type ProcessHost, type RunningService, runService } from '@gigvault/host/run-service';
import type { ServiceDefinition } from '@gigvault/host/service';
import type { HttpServer } from '@gigvault/http/http-server';
import { policyConfig } from '@gigvault/policy/policy.config';
import { policyService } from '@gigvault/policy/policy.module';
import { raConfig } from '@gigvault/ra/ra.config';
import { raService } from '@gigvault/ra/ra.module';
import type { Client } from '@gigvault/rpc/call';
import { RPC } from '@gigvault/rpc/contracts';
import { freePorts } from '@gigvault/rpc/free-ports';
import { createInProcessBroker } from '@gigvault/rpc/in-process-transport';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { type StillClock, stillClock } from '@gigvault/testkit/still-clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { toPem } from '@gigvault/x509/pem';
import type { Pool } from 'pg';
import { startTestCa, type TestCa } from '../../ca/test/test-ca.ts';
import { startAcmeListener } from '../../enroll/test/acme-listener.ts';
import {
  type MemoryCertificateAuthority,
  memoryCertificateAuthority,
} from '../../enroll/test/memory-certificate-authority.ts';

/** The way of an ACME order: enroll, ra, policy and ca with their tables, in one process; the keys alone are a test's. */
export interface AcmePath {
  readonly url: string;
  /** PEM, trusts the listener. */
  readonly rootPem: string;
  readonly clock: StillClock;
  readonly ca: TestCa;
  readonly enrollPool: Pool;
  readonly raPool: Pool;
  /** What the web server of every name answers to http-01: the token and this. */
  thumbprint: string;
  /** While true, nobody reaches the CA. */
  caAway: boolean;
  /** Ends the process with its fault hook, and starts another one on the same tables and port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const PORTS = { first: 21_000, block: 8, blocks: 400 };
const RUNNING: Readonly<Partial<Record<ServiceName, object>>> = {
  policy: policyConfig.parse({ files: [] }),
  ca: caConfig.parse({
    reconciliation: { grace: '0s' },
    // Nobody follows the event log here.
    auditLag: { events: 10_000_000, age: '3650d' },
  }),
};
const DEFINITIONS = { policy: policyService, ca: caService, ra: raService, enroll: enrollService };

/** @param change what the sections `ra` and `enroll` say of times */
export async function startAcmePath(change: { ra: object; enroll: object }): Promise<AcmePath> {
  const clock = stillClock();
  const ca = await startTestCa();
  const webServer = createServer((request, response) => {
    response.end(`${request.url?.split('/').at(-1)}.${path.thumbprint}`);
  });
  await new Promise<void>((resolve) => webServer.listen(0, '127.0.0.1', resolve));
  const pools = new Map<ServiceName, Pool>([
    ['ca', ca.pool],
    ['policy', ca.pool],
    ['ra', await ca.database.pool('ra', raService.migrations)],
    ['enroll', await ca.database.pool('enroll', enrollService.migrations)],
  ]);
  const [port = 0] = await freePorts(1, PORTS);
  const listenerCa = memoryCertificateAuthority(clock.now());
  const http01Port = (webServer.address() as AddressInfo).port;
  const configs = {
    ...RUNNING,
    ra: raConfig.parse({ http01Port, ...change.ra }),
    enroll: enrollConfig.parse(change.enroll),
  };
  const startProcess = () => runProcess(path, { pools, configs, port, listenerCa });
  let running: { stop(): Promise<void> };
  const path: AcmePath = {
    url: `https://localhost:${port}`,
    rootPem: toPem('CERTIFICATE', listenerCa.root),
    clock,
    ca,
    enrollPool: pools.get('enroll')!,
    raPool: pools.get('ra')!,
    thumbprint: '',
    caAway: false,
    async restart() {
      await running.stop();
      installFaultHook(undefined);
      running = await startProcess();
    },
    async stop() {
      await running.stop();
      await new Promise((resolve) => webServer.close(resolve));
      await ca.stop();
    },
  };
  running = await startProcess();
  return path;
}

interface ProcessOptions {
  readonly pools: ReadonlyMap<ServiceName, Pool>;
  readonly configs: Readonly<Partial<Record<ServiceName, object>>>;
  readonly port: number;
  readonly listenerCa: MemoryCertificateAuthority;
}

async function runProcess(path: AcmePath, options: ProcessOptions) {
  const broker = createInProcessBroker({ encode: true });
  const keys = new Map<unknown, unknown>([
    [RPC.keySigning, path.ca.keymgr.signing],
    [RPC.key, path.ca.keymgr.keys],
  ]);
  const host: ProcessHost = {
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: path.url,
    peers: installedPeerTable(),
    clock: path.clock,
    clockGuard: createClockGuard(path.clock),
    metrics: createMetrics(),
    secrets: { resolve: () => Promise.reject(new Error('not used')) },
    dataDir: () => '/nonexistent',
    pool: (service) => options.pools.get(service)!,
    log: () => silentLog,
    authenticator: () => ({
      authenticate: () => Promise.reject(new Error('ACME has no access tokens')),
    }),
    client(caller, service, callee) {
      if (callee === 'keymgr') return keys.get(service) as never;
      const client = broker.client(caller, service, callee);
      return callee === 'ca' ? whileReachable(path, client) : client;
    },
  };
  const services: RunningService[] = [];
  for (const [name, definition] of Object.entries(DEFINITIONS)) {
    const config = options.configs[name as ServiceName];
    const service = await runService(definition as ServiceDefinition<never>, config as never, host);
    broker.register(service.table);
    services.push(service);
  }
  const routes = services.find(({ name }) => name === 'enroll')!.routes;
  const { port, listenerCa } = options;
  const listener = await startAcmeListener({ port, url: path.url, ca: listenerCa, routes });
  for (const service of services) await service.startWorkers();
  return { stop: () => stopProcess(listener, services) };
}

async function stopProcess(listener: HttpServer, services: readonly RunningService[]) {
  await listener.stop();
  for (const service of [...services].reverse()) await service.stop();
}

function whileReachable<S>(path: AcmePath, client: Client<S>): Client<S> {
  const calls = client as Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;
  const guarded = Object.entries(calls).map(([name, call]) => [
    name,
    (...args: unknown[]) =>
      path.caAway
        ? Promise.reject(new GigvaultError('UNAVAILABLE', 'The CA cannot be reached.'))
        : call(...args),
  ]);
  return Object.fromEntries(guarded) as Client<S>;
}
