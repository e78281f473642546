import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { EVENT_LOG, EventLogRpc } from '@gigvault/host/event-log-rpc';
import {
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { Worker } from '@gigvault/time/worker';
import { type DynamicModule, Module } from '@nestjs/common';
import { EVENT_CONSUMERS, RaInit1700000000000 } from '../migrations/1700000000000-ra-init.ts';
import { RaPendingAuthorizations1700000000001 } from '../migrations/1700000000001-ra-pending-authorizations.ts';
import { RaChallengeRequester1700000000002 } from '../migrations/1700000000002-ra-challenge-requester.ts';
import { RaRequestAsked1700000000003 } from '../migrations/1700000000003-ra-request-asked.ts';
import { RaNames1700000000004 } from '../migrations/1700000000004-ra-names.ts';
import { backlog } from './adapters/backlog.ts';
import { dnsResolver } from './adapters/dns-resolver.ts';
import { issuingWorker } from './adapters/issuing-worker.ts';
import { nodeHttpFetcher } from './adapters/node-http-fetcher.ts';
import { pgAuthorizationStore } from './adapters/pg-authorization-store.ts';
import { pgRequestStore } from './adapters/pg-request-store.ts';
import { pgValidationQueue } from './adapters/pg-validation-queue.ts';
import { pgVoteStore } from './adapters/pg-vote-store.ts';
import { reaper } from './adapters/reaper.ts';
import { reviewWorker } from './adapters/review-worker.ts';
import { rpcCertificateAuthority } from './adapters/rpc-certificate-authority.ts';
import { rpcPolicyJudge } from './adapters/rpc-policy-judge.ts';
import { validationWorker } from './adapters/validation-worker.ts';
import {
  AUTHORIZATION,
  type AuthorizationApi,
  AuthorizationRpc,
  ENROLMENT,
  type EnrolmentApi,
  EnrolmentRpc,
} from './api/grpc.ts';
import { enrolmentRoutes } from './api/http.ts';
import { createIssuer } from './enrolment/issue-request.ts';
import { type RaConfig, raConfig } from './ra.config.ts';
import { createRaMetrics } from './ra-metrics.ts';

const HTTP_PORT = 80;
const ATTEMPTS = 3;
const RETRY_DELAY = 500;
/** Milliseconds that a client's answer to a challenge waits for the first validation. */
const ATTEMPT_WAIT = 2_000;

@Module({})
class RaModule {}

/** Validates control of names, has requests judged and approved, and hands them to the CA. */
export const raService: ServiceDefinition<RaConfig> = {
  name: 'ra',
  zone: 'inside',
  config: raConfig,
  migrations: [
    RaInit1700000000000,
    RaPendingAuthorizations1700000000001,
    RaChallengeRequester1700000000002,
    RaRequestAsked1700000000003,
    RaNames1700000000004,
  ],
  serves: [RPC.authorization, RPC.enrolment, RPC.eventLog],
  eventConsumers: EVENT_CONSUMERS,
  module: raModule,
};

function raModule(context: ServiceContext<RaConfig>): DynamicModule {
  const development = context.environment === 'development';
  if (!development && context.config.http01Port !== undefined) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      'ra.http01Port can be set in the development environment only: http-01 asks port 80.',
    );
  }
  const { clock, database: pool } = context;
  const eventLog = createEventLog({ pool, producer: 'ra', consumers: EVENT_CONSUMERS, clock });
  const authorization = wireAuthorization(context, eventLog, development);
  const enrolment = wireEnrolment(context, eventLog, development);
  const workers: Worker[] = [
    eventLog.worker,
    authorization.worker,
    ...enrolment.workers,
    reaper({ pool, clock, clockGuard: context.clockGuard, log: context.log }),
  ];
  return {
    module: RaModule,
    controllers: [AuthorizationRpc, EnrolmentRpc, EventLogRpc],
    providers: [
      { provide: AUTHORIZATION, useValue: authorization.api },
      { provide: ENROLMENT, useValue: enrolment.api },
      { provide: EVENT_LOG, useValue: eventLog },
      { provide: HTTP_ROUTES, useValue: enrolmentRoutes(enrolment.api) },
      { provide: WORKERS, useValue: workers },
    ],
  };
}

function wireAuthorization(
  context: ServiceContext<RaConfig>,
  eventLog: EventLog,
  development: boolean,
) {
  const { clock, clockGuard, config, database: pool, log } = context;
  const rules = { development, allowedNetworks: config.allowedNetworks };
  const worker = validationWorker({
    resolver: dnsResolver({ development, servers: config.dnsServers, clock }),
    fetcher: nodeHttpFetcher,
    queue: pgValidationQueue(pool, eventLog),
    clock,
    clockGuard,
    log,
    rules,
    port: config.http01Port ?? HTTP_PORT,
    timeout: config.validationTimeout,
    concurrency: config.validationConcurrency,
    attempts: ATTEMPTS,
    retryDelay: RETRY_DELAY,
    authorizationValidity: config.authorizationValidity,
  });
  const api: AuthorizationApi = {
    authorizations: pgAuthorizationStore(pool, eventLog),
    clock,
    clockGuard,
    rules,
    pendingValidity: config.pendingAuthorizationValidity,
    maxPending: config.maxPendingAuthorizations,
    attempted: (challengeId) => worker.attempted(challengeId, ATTEMPT_WAIT),
  };
  return { worker, api };
}

function wireEnrolment(
  context: ServiceContext<RaConfig>,
  eventLog: EventLog,
  development: boolean,
) {
  const { clock, clockGuard, config, database: pool, log } = context;
  const store = pgRequestStore(pool, eventLog);
  const ca = rpcCertificateAuthority({
    issuance: context.client(RPC.issuance, 'ca'),
    issuers: context.client(RPC.issuer, 'ca'),
    clock,
  });
  const metrics = createRaMetrics(context.metrics);
  const proofs = pgAuthorizationStore(pool, eventLog);
  const votes = pgVoteStore(pool, eventLog);
  const issuer = createIssuer({ requests: store, issuing: store, proofs, ca, clock, clockGuard });
  const api: EnrolmentApi = {
    requests: store,
    votes,
    proofs,
    ca,
    policy: rpcPolicyJudge(context.client(RPC.policy, 'policy')),
    issuer,
    clock,
    clockGuard,
    log,
    observer: metrics,
    development,
    approvals: config.approvals,
    pendingValidity: config.pendingRequestValidity,
  };
  const workers = [
    issuingWorker({ issuing: store, issuer, clock, clockGuard, log }),
    reviewWorker(api),
    backlog({
      requests: store,
      validations: pgValidationQueue(pool, eventLog),
      clock,
      log,
      metrics,
    }),
  ];
  return { workers, api };
}
