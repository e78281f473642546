import { type EventConsumer, eventConsumer } from '@gigvault/database/event-consumer';
import { createEventLog } from '@gigvault/database/event-log';
import { EVENT_LOG, EventLogRpc } from '@gigvault/host/event-log-rpc';
import {
  HEALTH_CHECKS,
  type HealthCheck,
  HTTP_ROUTES,
  type ServiceContext,
  type ServiceDefinition,
  WORKERS,
} from '@gigvault/host/service';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { Module } from '@nestjs/common';
import { AuditEventLog1797000000000 } from '../migrations/audit-event-log.ts';
import { AuditInit1764000000000 } from '../migrations/audit-init.ts';
import { pgCheckpointStore } from './adapters/pg-checkpoint-store.ts';
import { pgTree, pgTreeWriter } from './adapters/pg-tree.ts';
import { rpcCheckpointSigner } from './adapters/rpc-checkpoint-signer.ts';
import { AUDIT_LOG, AuditRpc } from './api/grpc.ts';
import { auditOperations } from './api/http.ts';
import { type AuditConfig, auditConfig } from './audit.config.ts';
import { type CheckpointKeeper, keepCheckpoints } from './checkpoint/keep-checkpoints.ts';
import { appendEvents } from './recording/append-events.ts';
import { keepVerifying, type Verifier } from './verification/keep-verifying.ts';

@Module({})
class AuditModule {}

type Context = Pick<
  ServiceContext<AuditConfig>,
  'client' | 'clock' | 'config' | 'database' | 'log' | 'metrics' | 'trustDomain'
>;

/** Everybody who has an event log. */
const PRODUCERS = [
  'ca',
  'ra',
  'keymgr',
  'auth',
  'enroll',
  'audit',
] as const satisfies readonly ServiceName[];

/** The tamper-evident log of every event. */
export const auditService: ServiceDefinition<AuditConfig> = {
  name: 'audit',
  zone: 'inside',
  config: auditConfig,
  migrations: [AuditInit1764000000000, AuditEventLog1797000000000],
  serves: [RPC.audit, RPC.eventLog],
  eventConsumers: ['audit'],
  module: (context) => {
    const { log, workers, healthChecks } = wireAudit(context);
    const { database: pool, clock } = context;
    // Of its own: whom it refuses, as every service tells it.
    const eventLog = createEventLog({ pool, producer: 'audit', consumers: ['audit'], clock });
    return {
      module: AuditModule,
      controllers: [AuditRpc, EventLogRpc],
      providers: [
        { provide: AUDIT_LOG, useValue: log },
        { provide: HTTP_ROUTES, useValue: auditOperations(log) },
        { provide: EVENT_LOG, useValue: eventLog },
        { provide: WORKERS, useValue: [eventLog.worker, ...workers] },
        { provide: HEALTH_CHECKS, useValue: healthChecks },
      ],
    };
  },
};

/** The parts of one audit service. */
export function wireAudit(context: Context) {
  const { config, clock, database } = context;
  const tree = pgTree(database);
  const log = { tree, leaves: tree, checkpoints: pgCheckpointStore(database) };
  const signing = {
    ...log,
    clock,
    log: context.log,
    origin: `${context.trustDomain}/audit`,
    signer: rpcCheckpointSigner(
      context.client(RPC.key, 'keymgr'),
      context.client(RPC.keySigning, 'keymgr'),
    ),
  };
  const signedAt = context.metrics.gauge(
    'audit_checkpoint_timestamp_seconds',
    'When the newest checkpoint of the audit log was signed, Unix time',
    [],
  );
  const keeper = keepCheckpoints({
    ...signing,
    interval: config.checkpointInterval,
    onSigned: ({ timestamp }) => signedAt.set(timestamp / 1000),
  });
  const failures = context.metrics.counter(
    'audit_verify_failures_total',
    'Verifications of a part of the audit log that found it changed',
    [],
  );
  const verifier = keepVerifying({
    ...signing,
    interval: config.verifyInterval,
    onDamage: () => failures.inc(),
  });
  const consumers = PRODUCERS.map((producer) => follow(context, producer, () => keeper.wake()));
  return {
    log,
    consumers,
    workers: [keeper, ...consumers, verifier],
    healthChecks: healthChecksOf(config, keeper, verifier, consumers),
  };
}

function follow(context: Context, producer: ServiceName, onAppended: () => void): EventConsumer {
  const entries = context.metrics.counter(
    'audit_entries_total',
    'Events appended to the audit log',
    ['producer'],
  );
  return eventConsumer({
    producer,
    consumer: 'audit',
    source: context.client(RPC.eventLog, producer),
    pool: context.database,
    clock: context.clock,
    log: context.log,
    async handle(client, events) {
      await appendEvents(pgTreeWriter(client), events);
    },
    afterCommit(events) {
      entries.inc({ producer }, events.length);
      onAppended();
    },
  });
}

function healthChecksOf(
  config: AuditConfig,
  keeper: CheckpointKeeper,
  verifier: Verifier,
  consumers: readonly EventConsumer[],
): HealthCheck[] {
  const lag = async () => {
    for (const consumer of consumers) {
      const { failure, head, position } = consumer.progress();
      if (failure !== undefined)
        throw new Error(`${consumer.name} does not get on: ${reasonOf(failure)}`);
      if (head - position > config.lagLimit)
        throw new Error(`${consumer.name} is ${head - position} events behind`);
    }
  };
  const checkpoint = async () => {
    const failure = keeper.failure();
    if (failure !== undefined) throw new Error(`the tree cannot be signed: ${reasonOf(failure)}`);
  };
  const verification = async () => {
    const damage = verifier.damage();
    if (damage !== undefined) throw new Error(damage);
  };
  return [
    { name: 'audit.lag', check: lag, blocksReadiness: false },
    { name: 'audit.checkpoint', check: checkpoint, blocksReadiness: false },
    { name: 'audit.verification', check: verification, blocksReadiness: false },
  ];
}

function reasonOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
