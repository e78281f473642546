import {
  HEALTH_CHECKS,
  type HealthCheck,
  HTTP_ROUTES,
  type ServiceContext,
  WORKERS,
} from '@gigvault/host/service';
import type { HttpReply, ProtocolRoute } from '@gigvault/http/route';
import { RPC } from '@gigvault/rpc/contracts';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { FakeClock, systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';
import { type OcspConfig, ocspConfig } from '../src/ocsp.config.ts';
import { ocspService } from '../src/ocsp.module.ts';
import { type FakeCa, fakeCa } from './fake-ca.ts';
import { type FakeKeymgr, fakeKeymgr } from './fake-keymgr.ts';

/** The OCSP service as its module wires it, over a real database, with a `ca` and a `keymgr` in memory. */
export interface OcspWorld {
  readonly clock: FakeClock;
  readonly ca: FakeCa;
  readonly keymgr: FakeKeymgr;
  readonly metrics: Metrics;
  readonly routes: readonly ProtocolRoute[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A new instance over the same database, `ca` and keys; the old one must be stopped. */
  restart(config?: Partial<OcspConfig>): Promise<OcspWorld>;
  post(der: Buffer): Promise<HttpReply>;
  get(path: string, headers?: Record<string, string>): Promise<HttpReply>;
  health(name: string): Promise<void>;
}

interface Parts {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly ca: FakeCa;
  readonly keymgr: FakeKeymgr;
}

/** A world that is not started yet. The pool's tables are emptied. */
export async function ocspWorld(pool: Pool, config: Partial<OcspConfig> = {}): Promise<OcspWorld> {
  for (const table of ['status', 'responder', 'freshness', 'event_cursor']) {
    await pool.query(`DELETE FROM ${table}`);
  }
  const clock = new FakeClock(systemClock.now());
  return instance({ pool, clock, ca: fakeCa(clock), keymgr: fakeKeymgr() }, config);
}

function instance(parts: Parts, config: Partial<OcspConfig>): OcspWorld {
  const { clock, ca, keymgr } = parts;
  const metrics = createMetrics();
  const clients = new Map<unknown, unknown>([
    [RPC.certificate, ca.certificate],
    [RPC.eventLog, ca.events.source],
    [RPC.issuance, ca.issuance],
    [RPC.issuer, ca.issuer],
    [RPC.key, keymgr.key],
    [RPC.keySigning, keymgr.signing],
  ]);
  const context = {
    name: 'ocsp',
    config: ocspConfig.parse(config),
    environment: 'development',
    trustDomain: 'gigvault.test',
    publicUrl: 'https://localhost',
    dataDir: '/nonexistent',
    database: parts.pool,
    clock,
    log: silentLog,
    metrics,
    authenticator: { authenticate: () => Promise.reject(new Error('not used')) },
    client: (service: unknown) => clients.get(service),
  } as unknown as ServiceContext<OcspConfig>;
  const provided = providersOf(context);
  const routes = provided(HTTP_ROUTES) as ProtocolRoute[];
  const workers = provided(WORKERS) as Worker[];
  const checks = provided(HEALTH_CHECKS) as HealthCheck[];

  const call = (method: string, path: string, request: object) => {
    const route = routes.find((one) => one.method === method)!;
    const params = { '*': path.replace(/^\/ocsp\//, '') };
    return route.handle({ method, url: path, params, headers: {}, ...request } as never);
  };
  return {
    clock,
    ca,
    keymgr,
    metrics,
    routes,
    async start() {
      for (const worker of workers) await worker.start();
    },
    async stop() {
      for (const worker of [...workers].reverse()) {
        const stopped = worker.stop();
        ca.events.endPolls();
        await stopped;
      }
    },
    async restart(changed = config) {
      return instance(parts, changed);
    },
    post: (der) =>
      call('POST', '/ocsp', { body: der, headers: { 'content-type': 'application/ocsp-request' } }),
    get: (path, headers = {}) => call('GET', path, { headers, body: Buffer.alloc(0) }),
    health: (name) => checks.find((check) => check.name === name)!.check(),
  };
}

function providersOf(context: ServiceContext<OcspConfig>): (token: symbol) => unknown {
  const providers = ocspService.module(context).providers as {
    provide: symbol;
    useValue: unknown;
  }[];
  return (token) => providers.find((provider) => provider.provide === token)!.useValue;
}

/** Tries `probe` until it does not throw; for what happens in workers. */
export async function eventually<T>(probe: () => Promise<T> | T): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await probe();
    } catch (error) {
      if (tries === 400) throw error;
      await systemClock.sleep(10);
    }
  }
}
