import {
  HEALTH_CHECKS,
  type HealthCheck,
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import type { ProtocolRoute } from '@gigvault/http/route';
import type { RpcService } from '@gigvault/rpc/contracts';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import type { Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';

/** A service as its module wires it, over a real database, with whoever it calls in memory. */
export interface ServiceWorld {
  readonly metrics: Metrics;
  readonly routes: readonly ProtocolRoute[];
  /** Starts the workers. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Runs a health check. Rejects with its reason when it is red. */
  health(name: string): Promise<void>;
  /** Runs the checks that `/ready` asks. Rejects with the reason of one that is red. */
  ready(): Promise<void>;
}

/** What a world is made of. */
export interface ServiceWorldOptions<C> {
  readonly definition: ServiceDefinition<C>;
  /** The service's section, as it is written. */
  readonly config: unknown;
  readonly pool: Pool;
  readonly clock: Clock;
  /** For services that write files. Default: a folder that is not there. */
  readonly dataDir?: string;
  /** Clients of other services, by contract. */
  readonly clients: ReadonlyMap<RpcService<never>, object>;
  /** Ends long polls: a worker that waits in one stops when its time is over, and the time of a FakeClock stands still. */
  endPolls(): void;
}

/** A world that is not started yet. */
export function serviceWorld<C>(options: ServiceWorldOptions<C>): ServiceWorld {
  const { definition, clients } = options;
  const metrics = createMetrics();
  const context: ServiceContext<C> = {
    name: definition.name,
    config: definition.config.parse(options.config),
    environment: 'development',
    trustDomain: 'gigvault.test',
    publicUrl: 'https://localhost',
    dataDir: options.dataDir ?? '/nonexistent',
    database: options.pool,
    clock: options.clock,
    clockGuard: createClockGuard(options.clock),
    log: silentLog,
    metrics,
    secrets: { resolve: () => Promise.reject(new Error('not used')) },
    authenticator: { authenticate: () => Promise.reject(new Error('not used')) },
    client: (service) => clients.get(service as RpcService<never>) as never,
  };
  const module = definition.module(context);
  if (module instanceof Promise) throw new Error(`${definition.name} is not wired at once`);
  const providers = module.providers as {
    provide: symbol;
    useValue: unknown;
  }[];
  const provided = (token: symbol) =>
    providers.find((provider) => provider.provide === token)?.useValue ?? [];
  const workers = provided(WORKERS) as Worker[];
  const checks = provided(HEALTH_CHECKS) as HealthCheck[];
  return {
    metrics,
    routes: provided(HTTP_ROUTES) as ProtocolRoute[],
    async start() {
      for (const worker of workers) await worker.start();
    },
    async stop() {
      for (const worker of [...workers].reverse()) {
        const stopped = worker.stop();
        options.endPolls();
        await stopped;
      }
    },
    health: (name) => checks.find((check) => check.name === name)!.check(),
    async ready() {
      for (const { blocksReadiness, check } of checks) if (blocksReadiness !== false) await check();
    },
  };
}
