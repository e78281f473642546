import { createEventLog, type EventLog } from '@gigvault/database/event-log';
import { type LiveHolder, liveHolder } from '@gigvault/database/live-holder';
import { EVENT_LOG, EventLogRpc } from '@gigvault/host/event-log-rpc';
import {
  clockRight,
  HEALTH_CHECKS,
  type HealthCheck,
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import type { IssuedCertificate } from '@gigvault/proto/ca/v1/issuance';
import { RPC } from '@gigvault/rpc/contracts';
import { createSingleFlight } from '@gigvault/time/single-flight';
import { periodic, type Worker } from '@gigvault/time/worker';
import { Module } from '@nestjs/common';
import { CaCertificateEnd1764200000000 } from '../migrations/ca-certificate-end.ts';
import { CaCertificateNotAfter1796000000000 } from '../migrations/ca-certificate-not-after.ts';
import { CaInit1700000000000 } from '../migrations/ca-init.ts';
import { CaIntentHolder1795400000000 } from '../migrations/ca-intent-holder.ts';
import { CaIssuerGeneration1796100000000 } from '../migrations/ca-issuer-generation.ts';
import { CaKeyCompromise1795310000000 } from '../migrations/ca-key-compromise.ts';
import { CaSuccessorBegun1796700000000 } from '../migrations/ca-successor-begun.ts';
import { certificateCounter } from './adapters/certificate-counter.ts';
import { clockWatcher } from './adapters/clock-watcher.ts';
import { createPgCertificateStore } from './adapters/pg-certificate-store.ts';
import { createPgIntentStore } from './adapters/pg-intent-store.ts';
import { createPgIssuerRetirement, createPgIssuerRotation } from './adapters/pg-issuer-rotation.ts';
import { createPgIssuerStore } from './adapters/pg-issuer-store.ts';
import {
  createPgCompromisedKeys,
  createPgRevocationStore,
} from './adapters/pg-revocation-store.ts';
import {
  createRpcKeyDirectory,
  createRpcSigner,
  createRpcSuccessorKeys,
} from './adapters/rpc-signer.ts';
import {
  CA_DEPS,
  type CaDeps,
  CertificateRpc,
  IssuanceRpc,
  IssuerRpc,
  RevocationRpc,
} from './api/grpc.ts';
import { caOperations, issuerFileRoutes } from './api/http.ts';
import { type CaConfig, caConfig } from './ca.config.ts';
import { createCaMetrics } from './ca-metrics.ts';
import { EVENT_CONSUMERS } from './event-consumers.ts';
import { createAuditGate } from './issuance/audit-gate.ts';
import { profileTable } from './issuance/profile-table.ts';
import { createIssuerRegistry, type IssuerRegistry } from './issuers/issuer-registry.ts';
import type { IssuerStore } from './ports/issuer-store.ts';
import { type ReconcileDeps, reconcileIntents } from './reconciliation/reconcile-intents.ts';
import { revokeCompromised, type SweepDeps } from './revocation/revoke-compromised.ts';
import { type MoveDeps, moveIssuers } from './rotation/move-issuers.ts';

/** The issuing CAs. */
export const caService: ServiceDefinition<CaConfig> = {
  name: 'ca',
  zone: 'inside',
  config: caConfig,
  migrations: [
    CaInit1700000000000,
    CaCertificateEnd1764200000000,
    CaKeyCompromise1795310000000,
    CaIntentHolder1795400000000,
    CaCertificateNotAfter1796000000000,
    CaIssuerGeneration1796100000000,
    CaSuccessorBegun1796700000000,
  ],
  serves: [RPC.issuance, RPC.revocation, RPC.certificate, RPC.issuer, RPC.eventLog],
  eventConsumers: EVENT_CONSUMERS,
  module(context) {
    const eventLog = createEventLog({
      pool: context.database,
      producer: 'ca',
      consumers: EVENT_CONSUMERS,
      clock: context.clock,
    });
    const { deps, reconcile, sweeper, holder, mover } = wireCa(context, eventLog);
    return {
      module: CaModule,
      controllers: [IssuanceRpc, RevocationRpc, CertificateRpc, IssuerRpc, EventLogRpc],
      providers: [
        { provide: CA_DEPS, useValue: deps },
        { provide: EVENT_LOG, useValue: eventLog },
        { provide: HTTP_ROUTES, useValue: [...caOperations(deps), ...issuerFileRoutes(deps)] },
        {
          provide: WORKERS,
          useValue: [
            eventLog.worker,
            holder,
            reconciler(context, reconcile),
            sweeper,
            mover,
            certificateCounter(context),
            clockWatcher(context),
          ] satisfies Worker[],
        },
        {
          provide: HEALTH_CHECKS,
          useValue: [
            issuersPresent(deps.issuers.issuers),
            clockRight('ca.clock', context.clockGuard),
          ],
        },
      ],
    };
  },
};

@Module({})
class CaModule {}

interface CaParts {
  readonly deps: CaDeps;
  readonly reconcile: ReconcileDeps;
  readonly sweep: SweepDeps;
  readonly sweeper: Worker;
  readonly holder: LiveHolder;
  readonly move: MoveDeps;
  readonly mover: Worker;
}

/** Builds the flows' dependencies from what the host gives. */
export function wireCa(
  context: Omit<ServiceContext<CaConfig>, 'dataDir' | 'authenticator'>,
  eventLog: EventLog,
): CaParts {
  const { clock, clockGuard, config, database: pool, log } = context;
  const metrics = createCaMetrics(context.metrics, clock);
  const holder = liveHolder({ name: 'ca', pool, clock, log });
  const issuerStore = createPgIssuerStore(pool, eventLog);
  const issuers = createIssuerRegistry(issuerStore, clock, metrics.issuerLoaded);
  const profiles = profileTable(config.profiles);
  const keys = createRpcKeyDirectory(context.client(RPC.key, 'keymgr'));
  const issuance = {
    issuers,
    keys,
    profiles,
    intents: createPgIntentStore({ pool, eventLog, clock, holder, batch: config.batch }),
    signer: createRpcSigner(context.client(RPC.keySigning, 'keymgr'), config.batch),
    auditGate: createAuditGate({
      clock,
      lag: () => eventLog.lag('audit'),
      limits: { events: config.auditLag.events, oldestMs: config.auditLag.age },
    }),
    clockGuard,
    flights: createSingleFlight<IssuedCertificate>(),
    observer: metrics,
    clock,
    log,
    development: context.environment === 'development',
    foreignIntentGrace: config.reconciliation.grace,
    heldIntentGrace: config.reconciliation.age,
    trustDomain: context.trustDomain,
    publicUrl: context.publicUrl,
  };
  const sweep = {
    compromised: createPgCompromisedKeys(pool, eventLog),
    clockGuard,
    observer: metrics,
  };
  const sweeper = sweeperOf(context, sweep);
  const { move, mover, rotation } = wireRotation(context, eventLog, issuerStore, issuers);
  return {
    reconcile: issuance,
    sweep,
    sweeper,
    holder,
    move,
    mover,
    deps: {
      issuance,
      revocation: {
        revocations: createPgRevocationStore(pool, eventLog),
        clockGuard,
        observer: metrics,
        keyCompromised: () => sweeper.wake(),
      },
      certificates: { certificates: createPgCertificateStore(pool), clock },
      issuers: { store: issuerStore, issuers, keys, clock },
      rotation,
      issuersWait: () => mover.wake(),
      profiles,
    },
  };
}

/** The flows of a CA's new key. */
function wireRotation(
  context: Pick<
    ServiceContext<CaConfig>,
    'client' | 'clock' | 'clockGuard' | 'config' | 'database' | 'log'
  >,
  eventLog: EventLog,
  store: IssuerStore,
  issuers: IssuerRegistry,
) {
  const { clockGuard, database, log } = context;
  const rotation = createPgIssuerRotation(database, eventLog);
  const move = {
    store,
    issuers,
    rotation,
    retirement: createPgIssuerRetirement(database, eventLog),
    clockGuard,
    log,
  };
  const successors = createRpcSuccessorKeys(context.client(RPC.key, 'keymgr'));
  return { move, mover: moverOf(context, move), rotation: { ...move, successors } };
}

function sweeperOf(
  { clock, config, log }: Pick<ServiceContext<CaConfig>, 'clock' | 'config' | 'log'>,
  sweep: SweepDeps,
) {
  return periodic({
    name: 'ca.compromised-keys',
    clock,
    interval: config.reconciliation.interval,
    // Its count is not the time to wait.
    round: async () => void (await revokeCompromised(sweep)),
    onError: (error) =>
      log.warn(
        { error, operation: 'ca.compromised-keys' },
        'certificates of a compromised key wait',
      ),
  });
}

/** Woken when OCSP or CRLs are ready for a new key. */
function moverOf(
  { clock, config, log }: Pick<ServiceContext<CaConfig>, 'clock' | 'config' | 'log'>,
  move: MoveDeps,
) {
  const ends = new Map<string, number>();
  return periodic({
    name: 'ca.rotation',
    clock,
    interval: config.reconciliation.interval,
    round: () => moveIssuers(move, ends),
    onError: (error) =>
      log.warn({ error, operation: 'ca.rotation' }, 'the move of an issuer waits'),
  });
}

/** At start most open intents belong to a process that is gone, but another replica's may be among them. */
function reconciler(context: ServiceContext<CaConfig>, deps: ReconcileDeps): Worker {
  const { interval, age, ageAtStart } = context.config.reconciliation;
  let first = true;
  return periodic({
    name: 'ca.reconciler',
    clock: context.clock,
    interval,
    async round(stopping) {
      await reconcileIntents(deps, first ? ageAtStart : age, stopping);
      first = false;
    },
    onError: (error) =>
      context.log.warn({ error, operation: 'ca.reconciler' }, 'reconciliation waits'),
  });
}

function issuersPresent(issuers: IssuerRegistry): HealthCheck {
  return {
    name: 'ca.issuers',
    failing: 501,
    async check() {
      if ((await issuers.list()).length === 0)
        throw new Error('No issuing CA has been registered; run the ceremony first.');
    },
  };
}
