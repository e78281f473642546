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
import { type CrlEntry, type ParsedCertList, readCertList } from '@gigvault/x509/crl';
import type { Pool } from 'pg';
import { type CrlConfig, crlConfig } from '../src/crl.config.ts';
import { crlService } from '../src/crl.module.ts';
import { type FakeCa, fakeCa } from './fake-ca.ts';
import { type FakeKeymgr, fakeKeymgr } from './fake-keymgr.ts';

/** The CRL service as its module wires it, over a real database, with a `ca` and a `keymgr` in memory. */
export interface CrlWorld {
  readonly clock: FakeClock;
  readonly ca: FakeCa;
  readonly keymgr: FakeKeymgr;
  readonly metrics: Metrics;
  readonly routes: readonly ProtocolRoute[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A new instance over the same database, `ca` and keys. */
  another(config?: Partial<CrlConfig>): CrlWorld;
  fetch(path: string, headers?: Record<string, string>): Promise<HttpReply>;
  /** The CRL at this path, read; throws when it is not served. */
  crl(path?: string): Promise<ParsedCertList & { readonly list: readonly CrlEntry[] }>;
  health(name: string): Promise<void>;
}

interface Parts {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly ca: FakeCa;
  readonly keymgr: FakeKeymgr;
}

/** A world with the CA `issuing` (one shard), not started yet. The pool's tables are emptied. */
export async function crlWorld(pool: Pool, config: Partial<CrlConfig> = {}): Promise<CrlWorld> {
  for (const table of ['issuer', 'shard', 'revoked', 'crl', 'event_cursor']) {
    await pool.query(`DELETE FROM ${table}`);
  }
  const clock = new FakeClock(Math.floor(systemClock.now() / 1000) * 1000);
  const ca = fakeCa(clock);
  const keymgr = fakeKeymgr();
  ca.addIssuer('issuing', 1, keymgr.keys);
  return instance({ pool, clock, ca, keymgr }, config);
}

function instance(parts: Parts, config: Partial<CrlConfig>): CrlWorld {
  const { clock, ca, keymgr } = parts;
  const metrics = createMetrics();
  const clients = new Map<unknown, unknown>([
    [RPC.eventLog, ca.events.source],
    [RPC.issuer, ca.issuer],
    [RPC.keySigning, keymgr.signing],
  ]);
  const context = {
    name: 'crl',
    config: crlConfig.parse(config),
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
  } as unknown as ServiceContext<CrlConfig>;
  const provided = providersOf(context);
  const routes = provided(HTTP_ROUTES) as ProtocolRoute[];
  const workers = provided(WORKERS) as Worker[];
  const checks = provided(HEALTH_CHECKS) as HealthCheck[];

  const fetch = (path: string, headers: Record<string, string> = {}) => {
    const [issuerId = '', file = ''] = path.replace(/^\/crl\//, '').split('/');
    const request = { method: 'GET', url: path, params: { issuerId, file }, headers };
    return routes.find((route) => route.method === 'GET')!.handle(request as never);
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
    another: (changed = config) => instance(parts, changed),
    fetch,
    async crl(path = '/crl/issuing/0.crl') {
      const reply = await fetch(path);
      if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.body}`);
      const parsed = readCertList(reply.body as Buffer);
      return { ...parsed, list: [...parsed.entries()] };
    },
    health: (name) => checks.find((check) => check.name === name)!.check(),
  };
}

function providersOf(context: ServiceContext<CrlConfig>): (token: symbol) => unknown {
  const providers = crlService.module(context).providers as {
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
