import type { Authenticator } from '@gigvault/access/permissions';
import type { SecretResolver } from '@gigvault/config/secret';
import type { Client } from '@gigvault/rpc/call';
import type { RpcService } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import type { ClockGuard } from '@gigvault/time/clock-guard';
import type { DynamicModule, Type } from '@nestjs/common';
import type { Pool } from 'pg';
import type { MigrationInterface } from 'typeorm';
import type { ZodType } from 'zod';

/** What a service is, before it runs. One per service, in `src/<name>.module.ts`. */
export interface ServiceDefinition<C = unknown> {
  readonly name: ServiceName;
  readonly zone: 'edge' | 'inside' | 'vault';
  /** The service's own section of the configuration. */
  readonly config: ZodType<C>;
  /** Forward-only, in order; empty for a service without tables. */
  readonly migrations: readonly Type<MigrationInterface>[];
  /** The RPC services that its controllers serve; every RPC of them must have a handler. */
  readonly serves: readonly RpcService<unknown>[];
  /** Who may pull its event log (`gigvault.event.v1.EventLogService`). */
  readonly eventConsumers?: readonly ServiceName[];
  /** Wires flows, adapters and controllers. */
  module(context: ServiceContext<C>): DynamicModule | Promise<DynamicModule>;
}

/** What the host gives to a service. */
export interface ServiceContext<C> {
  readonly name: ServiceName;
  readonly config: C;
  /** `production` is the strict profile; `development` allows what its documentation says. */
  readonly environment: 'development' | 'production';
  /** As `gigvault.local`. */
  readonly trustDomain: string;
  /** As `https://localhost:8443`, no trailing slash. */
  readonly publicUrl: string;
  /** The data directory's part that belongs to this service. */
  readonly dataDir: string;
  /** The service's role; search_path is its schema. */
  readonly database: Pool;
  readonly clock: Clock;
  /** Says whether the clock is right: for whatever signs the time of day or deletes by it. */
  readonly clockGuard: ClockGuard;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Gives the secrets whose places stand in the configuration. */
  readonly secrets: SecretResolver;
  /** Verifies access tokens of REST requests. */
  readonly authenticator: Authenticator;
  /** A client of another service, with this service's identity. */
  client<S>(service: RpcService<S>, callee: ServiceName): Client<S>;
}

/** Provider tokens by which a module hands things to the host. Each is optional. */
export const HTTP_ROUTES = Symbol('HTTP_ROUTES');
/** Value: Worker[]; started in order after the listeners, stopped in reverse. */
export const WORKERS = Symbol('WORKERS');
/** Value: Reloader[]. */
export const RELOADERS = Symbol('RELOADERS');
/** Value: TellRefusedCall. */
export const REFUSED_CALLS = Symbol('REFUSED_CALLS');
/** Value: TellForbidden, of a service that tells what its operations refuse as well. Default, for both: events `operation.refused` in the service's event log, which whoever has operations that ask for a permission must have. */
export const FORBIDDEN_OPERATIONS = Symbol('FORBIDDEN_OPERATIONS');
/** Value: HealthCheck[]. */
export const HEALTH_CHECKS = Symbol('HEALTH_CHECKS');

/** Files that are read again on SIGHUP. */
export interface Reloader {
  /** As `policies`: in the log. */
  readonly name: string;
  /** Takes what the files say now. Throws when that cannot be, and then what held before still does. */
  reload(): void | Promise<void>;
}

/** One leaf of the health tree. */
export interface HealthCheck {
  /** As `database`, `crl.freshness`. */
  readonly name: string;
  /** Throws, with a message for operators, when it is not well. Bounded by a second. */
  check(): Promise<void>;
  /** False for an alarm: the service answers all the same, so `/ready`, `readyz` and the self check do not ask. Default true. */
  readonly blocksReadiness?: false;
  /** What `/admin/v1/healthz` answers when this is all that is not well: 501 where nothing has been set up yet. Default 503. */
  readonly failing?: 501 | 503;
}

/** An alarm of a service that waits while the clock is not right. @param name as `ca.clock` */
export function clockRight(name: string, guard: ClockGuard): HealthCheck {
  return { name, blocksReadiness: false, check: async () => guard.check() };
}
