import { createServer } from 'node:net';
import { HTTP_ROUTES, type ServiceContext, WORKERS } from '@gigvault/host/service';
import { NO_DOOR } from '@gigvault/http/admit';
import type { HttpServer } from '@gigvault/http/http-server';
import type { HttpRoute } from '@gigvault/http/route';
import type { RpcService } from '@gigvault/rpc/contracts';
import { RPC } from '@gigvault/rpc/contracts';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import type { Worker } from '@gigvault/time/worker';
import { toPem } from '@gigvault/x509/pem';
import type { Pool } from 'pg';
import type { z } from 'zod';
import { type EnrollConfig, enrollConfig } from '../src/enroll.config.ts';
import { enrollService } from '../src/enroll.module.ts';
import { startAcmeListener } from './acme-listener.ts';
import {
  type MemoryCertificateAuthority,
  memoryCertificateAuthority,
} from './memory-certificate-authority.ts';
import {
  type MemoryRegistrationAuthority,
  memoryRegistrationAuthority,
} from './memory-registration-authority.ts';

/** The service with a real database behind a real HTTPS listener; RA and CA are in memory. */
export interface AcmeWorld {
  readonly url: string;
  /** PEM, trusts the listener. */
  readonly rootPem: string;
  readonly ca: MemoryCertificateAuthority;
  readonly ra: MemoryRegistrationAuthority;
  readonly pool: Pool;
  /** Starts the service's workers, as a process that comes up on the same database does. */
  startWorkers(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts everything. */
export async function startAcmeWorld(
  config: z.input<typeof enrollConfig> = {},
): Promise<AcmeWorld> {
  const database = await startTestDatabase();
  const pool = await database.pool('enroll', enrollService.migrations as never);
  const ca = memoryCertificateAuthority(systemClock.now());
  const ra = memoryRegistrationAuthority(ca, systemClock.now);
  const port = await freePort();
  const url = `https://localhost:${port}`;
  const parts = partsOf(pool, { url, ca, ra, config });
  const routes = parts.routes.map((route) => ({
    service: 'enroll',
    route,
    door: NO_DOOR,
  }));
  const server = await startAcmeListener({ port, url, ca, routes });
  const started: Worker[] = [];
  return {
    url,
    rootPem: toPem('CERTIFICATE', ca.root),
    ca,
    ra,
    pool,
    async startWorkers() {
      for (const worker of parts.workers) {
        await worker.start();
        started.push(worker);
      }
    },
    stop: () => stopAll(server, started, database),
  };
}

async function stopAll(
  server: HttpServer,
  workers: readonly Worker[],
  database: TestDatabase,
): Promise<void> {
  await server.stop();
  for (const worker of workers) await worker.stop();
  await database.stop();
}

interface Surroundings {
  readonly url: string;
  readonly ca: MemoryCertificateAuthority;
  readonly ra: MemoryRegistrationAuthority;
  readonly config: z.input<typeof enrollConfig>;
}

function partsOf(pool: Pool, around: Surroundings): { routes: HttpRoute[]; workers: Worker[] } {
  const context: ServiceContext<EnrollConfig> = {
    name: 'enroll',
    config: enrollConfig.parse(around.config),
    environment: 'development',
    trustDomain: 'gigvault.local',
    publicUrl: around.url,
    dataDir: '',
    database: pool,
    clock: systemClock,
    clockGuard: createClockGuard(systemClock),
    log: silentLog,
    metrics: createMetrics(),
    secrets: { resolve: () => Promise.reject(new Error('not asked')) },
    authenticator: { authenticate: () => Promise.reject(new Error('ACME has no access tokens')) },
    client: <S>(service: RpcService<S>) => clients(around)[service.fullName] as never,
  };
  const { providers } = enrollService.module(context) as unknown as {
    providers: { provide: symbol; useValue: never }[];
  };
  const provided = (token: symbol): never =>
    providers.find((provider) => provider.provide === token)!.useValue;
  return { routes: provided(HTTP_ROUTES), workers: provided(WORKERS) };
}

/** The RPC clients' side of the memory RA and CA. */
function clients({ ca, ra }: Surroundings): Record<string, object> {
  return {
    [RPC.authorization.fullName]: {
      createAuthorizations: async (q: { requester: string; identifiers: never[] }) => ({
        authorizations: await ra.create(q.requester, q.identifiers),
      }),
      getAuthorizations: async (q: { authorizationIds: string[] }) => ({
        authorizations: await ra.get(q.authorizationIds),
      }),
      respondToChallenge: (q: never) => ra.respond(q),
      deactivateAuthorization: (q: { requester: string; authorizationId: string }) =>
        ra.deactivate(q.requester, q.authorizationId),
    },
    [RPC.enrolment.fullName]: {
      checkRequest: (q: never) => ra.check(q),
      submitRequest: (q: never) => ra.submit(q),
    },
    [RPC.certificate.fullName]: {
      getCertificate: (q: { serialNumber: string }) => ca.get(q.serialNumber),
    },
    [RPC.revocation.fullName]: { revokeCertificate: (q: never) => ca.revoke(q) },
    [RPC.issuer.fullName]: {
      listProfiles: async () => ({
        profiles: [
          { name: 'tls-server', public: true, ...(await ca.find('tls-server')) },
          { name: 'service', public: false, profileHash: 'hidden' },
        ],
      }),
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() =>
        resolve(typeof address === 'object' && address !== null ? address.port : 0),
      );
    });
  });
}
