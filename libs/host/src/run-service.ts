import type { Authenticator } from '@gigvault/access/permissions';
import type { SecretResolver } from '@gigvault/config/secret';
import type { EventLog } from '@gigvault/database/event-log';
import { eventLogUpkeep } from '@gigvault/database/event-log-upkeep';
import { type Door, NO_DOOR, type TellForbidden } from '@gigvault/http/admit';
import type { MountedRoute } from '@gigvault/http/mounting';
import type { HttpRoute } from '@gigvault/http/route';
import type { Client } from '@gigvault/rpc/call';
import type { RpcService } from '@gigvault/rpc/contracts';
import {
  type HandlerTable,
  HandlerTableServer,
  type TellRefusedCall,
} from '@gigvault/rpc/handler-table';
import type { PeerTable } from '@gigvault/rpc/peers';
import type { PeerName, ServiceName } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import { within } from '@gigvault/time/within';
import type { Worker } from '@gigvault/time/worker';
import { type INestMicroservice, Module, type RpcExceptionFilter } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Pool } from 'pg';
import { throwError } from 'rxjs';
import { EVENT_LOG } from './event-log-rpc.ts';
import { forbiddenOperations } from './forbidden-operations.ts';
import {
  FORBIDDEN_OPERATIONS,
  HEALTH_CHECKS,
  type HealthCheck,
  HTTP_ROUTES,
  REFUSED_CALLS,
  RELOADERS,
  type Reloader,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from './service.ts';

/** What a process gives to the services that run in it. */
export interface ProcessHost {
  readonly environment: 'development' | 'production';
  readonly trustDomain: string;
  readonly publicUrl: string;
  readonly peers: PeerTable;
  readonly clock: Clock;
  readonly clockGuard: ClockGuard;
  readonly metrics: Metrics;
  readonly secrets: SecretResolver;
  dataDir(service: ServiceName): string;
  pool(service: ServiceName): Pool;
  log(service: ServiceName): Log;
  authenticator(service: ServiceName): Authenticator;
  client<S>(caller: PeerName, service: RpcService<S>, callee: ServiceName): Client<S>;
}

/** A service whose handlers answer; its workers run once they are started. */
export interface RunningService {
  readonly name: ServiceName;
  readonly table: HandlerTable;
  readonly routes: readonly MountedRoute[];
  readonly healthChecks: readonly HealthCheck[];
  readonly reloaders: readonly Reloader[];
  startWorkers(): Promise<void>;
  /** Ends the long polls of those who follow its event log, so that a listener that drains need not wait for them. */
  endLongPolls(): Promise<void>;
  /**
   * Stops the workers, newest first, then the handlers; a second call waits for the first. A worker or a handler that does not end within
   * STOP_LIMIT is left behind.
   */
  stop(): Promise<void>;
}

/** Milliseconds for the workers' rounds in flight, and for the handlers'. */
export const STOP_LIMIT = 20_000;

/** Errors reach the transport as they were thrown; the transport gives them their wire form. */
class ThrownErrors implements RpcExceptionFilter<unknown> {
  catch(exception: unknown) {
    return throwError(() => exception);
  }
}

/** Nest wants a class for the root module; a service brings only a dynamic one. */
class ServiceRoot {}
Module({})(ServiceRoot);

/** Builds a service's Nest application on this host. Throws when its handlers, contracts and peers.yaml differ. */
export async function runService<C>(
  definition: ServiceDefinition<C>,
  config: C,
  host: ProcessHost,
): Promise<RunningService> {
  const { name } = definition;
  const context = contextFor(name, config, host);
  const { log } = context;
  const transport = new HandlerTableServer(
    name,
    definition.serves,
    host.peers,
    log,
    host.metrics,
    async (call) => provided<TellRefusedCall>(app, REFUSED_CALLS)?.(call),
  );
  const app = await NestFactory.createMicroservice(
    { module: ServiceRoot, imports: [await definition.module(context)] },
    {
      strategy: transport,
      logger: false,
      abortOnError: false,
    },
  );
  app.useGlobalFilters(new ThrownErrors());
  await app.listen();
  const eventLog = provided<EventLog>(app, EVENT_LOG);
  const routes = provided<readonly HttpRoute[]>(app, HTTP_ROUTES) ?? [];
  const { door, worker } = doorOf(context, routes, provided(app, FORBIDDEN_OPERATIONS), eventLog);
  const workers = [
    ...(provided<readonly Worker[]>(app, WORKERS) ?? []),
    ...(eventLog ? [eventLogUpkeep({ ...context, eventLog })] : []),
    ...(worker ? [worker] : []),
  ];
  const started: Worker[] = [];
  let stopped: Promise<void> | undefined;
  async function inTime(operation: string, ended: Promise<void>): Promise<void> {
    const late = `no end within ${STOP_LIMIT} ms`;
    await within(context.clock, STOP_LIMIT, ended, late).catch((error: unknown) =>
      log.error({ error, operation }, 'did not stop cleanly'),
    );
  }
  async function stop(): Promise<void> {
    // All of them at the same time: one that hangs holds up nobody.
    await Promise.all(started.reverse().map((worker) => inTime(worker.name, worker.stop())));
    await inTime('handlers', app.close());
  }
  return {
    name,
    table: transport.table,
    routes: routes.map((route) => ({ service: name, route, door })),
    healthChecks: provided<readonly HealthCheck[]>(app, HEALTH_CHECKS) ?? [],
    reloaders: provided<readonly Reloader[]>(app, RELOADERS) ?? [],
    async startWorkers() {
      for (const worker of workers) {
        await worker.start();
        started.push(worker);
      }
    },
    endLongPolls: async () => eventLog?.worker.stop(),
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

/** Throws for a service with operations that ask for a permission, and nowhere to tell of those who lack it. */
function doorOf(
  context: Pick<ServiceContext<unknown>, 'name' | 'authenticator' | 'database' | 'clock' | 'log'>,
  routes: readonly HttpRoute[],
  own: TellForbidden | undefined,
  eventLog: EventLog | undefined,
): { readonly door: Door; readonly worker?: Worker } {
  const { name, authenticator } = context;
  if (own !== undefined) return { door: { authenticator, tellForbidden: own } };
  if (!routes.some(asksForPermission)) return { door: { ...NO_DOOR, authenticator } };
  if (eventLog === undefined)
    throw new Error(`${name} has operations that ask for a permission, and no event log to tell`);
  const { worker, ...tell } = forbiddenOperations({ ...context, eventLog });
  return { door: { authenticator, ...tell }, worker };
}

function asksForPermission(route: HttpRoute): boolean {
  if (route.kind === 'protocol') return false;
  return route.permission !== 'anonymous' && route.permission !== 'signed-in';
}

function contextFor<C>(name: ServiceName, config: C, host: ProcessHost): ServiceContext<C> {
  return {
    name,
    config,
    environment: host.environment,
    trustDomain: host.trustDomain,
    publicUrl: host.publicUrl,
    dataDir: host.dataDir(name),
    database: host.pool(name),
    clock: host.clock,
    clockGuard: host.clockGuard,
    log: host.log(name),
    metrics: host.metrics,
    secrets: host.secrets,
    authenticator: host.authenticator(name),
    client: (service, callee) => host.client(name, service, callee),
  };
}

function provided<T>(app: INestMicroservice, token: symbol): T | undefined {
  try {
    return app.get<T>(token, { strict: false });
  } catch {
    // Nest throws for a token that no module provides; each of these is optional.
    return undefined;
  }
}
