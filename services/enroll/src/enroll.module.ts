import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { EVENT_LOG, EventLogRpc } from '@gigvault/host/event-log-rpc';
import {
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { periodic, type Worker } from '@gigvault/time/worker';
import { Module } from '@nestjs/common';
import { EnrollInit1700000000000 } from '../migrations/1700000000000-enroll-init.ts';
import { accountKeys } from './adapters/account-keys.ts';
import { pgAccounts } from './adapters/pg-accounts.ts';
import { pgOrders } from './adapters/pg-orders.ts';
import { rateLimits } from './adapters/rate-limits.ts';
import { rememberedAccounts } from './adapters/remembered-accounts.ts';
import { rpcCertificates, rpcProfiles } from './adapters/rpc-certificate-authority.ts';
import { rpcAuthorizations, rpcEnrolment } from './adapters/rpc-registration-authority.ts';
import { acmeUrls } from './api/acme-urls.ts';
import { NONCE_POOL, NonceRpc } from './api/grpc.ts';
import { type AcmeApiDeps, acmeApi } from './api/http.ts';
import { DEFAULT_LIMITS, type EnrollConfig, enrollConfig } from './enroll.config.ts';
import { createOrderCompletion } from './issuance/complete-order.ts';
import { type ResumeOrdersDeps, resumeOrders } from './issuance/resume-orders.ts';
import { createNoncePool } from './nonce/nonce-pool.ts';
import { type ExpireOrdersDeps, expireOrders } from './order/expire-orders.ts';

const CONSUMERS: readonly ServiceName[] = ['audit', 'notify'];
const SECOND = 1_000;

@Module({})
class EnrollModule {}

/** Speaks ACME (RFC 8555). It owns accounts and orders; who controls what is the RA's to say. */
export const enrollService: ServiceDefinition<EnrollConfig> = {
  name: 'enroll',
  zone: 'edge',
  config: enrollConfig,
  migrations: [EnrollInit1700000000000],
  serves: [RPC.nonce, RPC.eventLog],
  eventConsumers: CONSUMERS,
  module(context) {
    const eventLog = createEventLog({
      pool: context.database,
      producer: 'enroll',
      consumers: CONSUMERS,
      clock: context.clock,
    });
    const { api, workers } = wire(context, eventLog);
    return {
      module: EnrollModule,
      controllers: [EventLogRpc, NonceRpc],
      providers: [
        { provide: EVENT_LOG, useValue: eventLog },
        { provide: NONCE_POOL, useValue: api.nonces },
        { provide: HTTP_ROUTES, useValue: acmeApi(api) },
        { provide: WORKERS, useValue: [eventLog.worker, ...workers] },
      ],
    };
  },
};

function wire(
  context: ServiceContext<EnrollConfig>,
  eventLog: EventLog,
): { api: AcmeApiDeps; workers: Worker[] } {
  const { config, clock, clockGuard, log, publicUrl } = context;
  const orders = pgOrders(context.database, eventLog);
  const enrolment = rpcEnrolment(context.client(RPC.enrolment, 'ra'));
  const completion = createOrderCompletion({ orders, enrolment, clock, clockGuard, log });
  const urls = acmeUrls(publicUrl);
  const perHour = { ...DEFAULT_LIMITS[context.environment], ...config.limits };
  const api: AcmeApiDeps = {
    accounts: rememberedAccounts(pgAccounts(context.database, eventLog), config.accountKeyCache),
    orders,
    completion,
    enrolment,
    limits: rateLimits(
      { newAccounts: perHour.newAccountsPerHour, changes: perHour.changesPerHour },
      clock,
    ),
    log,
    authorizations: rpcAuthorizations(context.client(RPC.authorization, 'ra')),
    certificates: rpcCertificates(
      context.client(RPC.certificate, 'ca'),
      context.client(RPC.revocation, 'ca'),
    ),
    profiles: rpcProfiles(context.client(RPC.issuer, 'ca'), clock),
    nonces: createNoncePool(config.nonceWindow),
    keyOf: accountKeys(config.accountKeyCache),
    clock,
    clockGuard,
    urls,
    publicUrl,
    accountUrlPrefix: urls.accountPrefix,
    development: context.environment === 'development',
    termsOfService: config.termsOfService,
    rules: {
      orderLifetime: config.orderLifetime,
      maxOpenOrders: config.maxOpenOrders,
      maxOrdersPerHour: perHour.newOrdersPerHour,
      profiles: Object.keys(config.profiles),
    },
    finalizeWait: config.finalizeWait,
    retryAfter: Math.round(config.retryAfter / SECOND),
    meta: config,
  };
  const workers = [
    resumeWorker(context, { sweep: orders, completion, clockGuard }),
    reaper(context, {
      orders,
      sweep: orders,
      clock: clockGuard,
      retention: config.orderRetention,
    }),
  ];
  return { api, workers };
}

function resumeWorker(
  { clock, log }: ServiceContext<EnrollConfig>,
  deps: ResumeOrdersDeps,
): Worker {
  let after: 'start' | 'pause' = 'start';
  return periodic({
    name: 'enroll.resume-orders',
    clock,
    interval: 2 * SECOND,
    async round() {
      const taken = await resumeOrders(deps, after);
      after = 'pause';
      return taken === 0 ? undefined : 0;
    },
    onError: (error) =>
      log.warn({ operation: 'resumeOrders', error }, 'orders in processing could not be resumed'),
  });
}

function reaper({ clock, log }: ServiceContext<EnrollConfig>, deps: ExpireOrdersDeps): Worker {
  return periodic({
    name: 'enroll.expire-orders',
    clock,
    interval: 300 * SECOND,
    round: async () => ((await expireOrders(deps)) === 0 ? undefined : 0),
    onError: (error) =>
      log.warn({ operation: 'expireOrders', error }, 'expired orders could not be reaped'),
  });
}
