import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createEventLog, createEventLogTables, type EventLog } from '@gigvault/database/event-log';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { GenerateKeyRequest, Key } from '@gigvault/proto/keymgr/v1/key';
import type { SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { type Log, silentLog } from '@gigvault/telemetry/log';
import { createMetrics, type Metrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { expect } from '@jest/globals';
import type { Pool } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { auditConfig } from '../src/audit.config.ts';
import { auditService, wireAudit } from '../src/audit.module.ts';

class Producer1700000000000 implements MigrationInterface {
  readonly name = 'Producer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventLogTables(queryRunner, ['audit']);
  }
  async down(): Promise<void> {}
}

/** Everybody who has an event log. */
export const PRODUCERS = ['ca', 'ra', 'keymgr', 'auth', 'enroll', 'audit'] as const;

/** Of the checkpoints. */
export const ORIGIN = 'gigvault.local/audit';

const never = new AbortController().signal;

/** A running audit service over a real database, with real event logs of its producers. */
export interface AuditWorld {
  readonly database: TestDatabase;
  /** Of the service's role. */
  readonly pool: Pool;
  readonly audit: ReturnType<typeof wireAudit>;
  readonly metrics: Metrics;
  /** What the service has logged as an error. */
  readonly errors: { readonly msg: string; readonly fields: object }[];
  /** Writes events of a producer, one transaction. */
  say(producer: string, ...subjects: string[]): Promise<void>;
  /** Until everything that was said is in a signed checkpoint. */
  recorded(): Promise<void>;
  /** Runs a health check. Rejects with its reason when it is red. */
  health(name: string): Promise<void>;
  stopWorkers(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one. */
export async function auditWorld(): Promise<AuditWorld> {
  const database = await startTestDatabase();
  const pool = await database.pool('audit', auditService.migrations);
  const producers: Record<string, { pool: Pool; log: EventLog }> = {};
  for (const producer of PRODUCERS) {
    const producerPool =
      producer === 'audit' ? pool : await database.pool(producer, [Producer1700000000000]);
    const options = { pool: producerPool, producer, consumers: ['audit'] as const };
    const log = createEventLog({ ...options, clock: systemClock });
    await log.worker.start();
    producers[producer] = { pool: producerPool, log };
  }
  const errors: { msg: string; fields: object }[] = [];
  const log: Log = { ...silentLog, error: (fields, msg) => void errors.push({ msg, fields }) };
  const metrics = createMetrics();
  const audit = wire(pool, producers, log, metrics);
  for (const worker of audit.workers) await worker.start();
  let running = true;
  async function stopWorkers(): Promise<void> {
    if (!running) return;
    running = false;
    for (const worker of audit.workers) await worker.stop();
  }
  return {
    database,
    pool,
    audit,
    metrics,
    errors,
    async say(producer, ...subjects) {
      const { pool: from, log: eventLog } = producers[producer]!;
      const data = { z: 1, a: producer };
      const events = subjects.map((subject) => {
        return { type: 'thing.made', actor: 'user:1', subject, data };
      });
      await transaction(from, (client) => eventLog.append(client, events));
    },
    async recorded() {
      for (const consumer of audit.consumers) await consumer.caughtUp();
      const size = await audit.log.tree.size();
      while ((await audit.log.checkpoints.newest())?.treeSize !== size) await systemClock.sleep(5);
    },
    health: (name) => audit.healthChecks.find((check) => check.name === name)!.check(),
    stopWorkers,
    async stop() {
      for (const { log: eventLog } of Object.values(producers)) await eventLog.worker.stop();
      await stopWorkers();
      await database.stop();
    },
  };
}

/** The other services, as the audit service sees them: real event logs, and a key manager that makes its key on demand. */
function wire(
  pool: Pool,
  producers: Record<string, { log: EventLog }>,
  log: Log,
  metrics: Metrics,
): ReturnType<typeof wireAudit> {
  const keymgr = fakeKeymgr();
  return wireAudit({
    clock: systemClock,
    config: auditConfig.parse({ verifyInterval: '2ms' }),
    database: pool,
    log,
    metrics,
    trustDomain: 'gigvault.local',
    client: ((service: { fullName: string }, callee: ServiceName) => {
      if (service.fullName !== RPC.eventLog.fullName) return keymgr;
      const pull = (request: never, options?: { signal?: AbortSignal }) =>
        producers[callee]!.log.pull('audit', request, options?.signal ?? never);
      return { pull };
    }) as never,
  });
}

function fakeKeymgr() {
  let key: { id: string; privateKey: KeyObject; publicKey: Buffer } | undefined;
  return {
    async getKey({ keyId }: { keyId: string }): Promise<Pick<Key, 'subjectPublicKeyInfo'>> {
      if (key?.id !== keyId) throw new GigvaultError('KEY_NOT_FOUND', 'no such key');
      return { subjectPublicKeyInfo: key.publicKey };
    },
    async generateKey(request: GenerateKeyRequest) {
      expect(request).toMatchObject({
        keyId: 'audit-checkpoint',
        keyType: 'ec-p256',
        purposes: ['auditSign'],
      });
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      key = {
        id: request.keyId,
        privateKey,
        publicKey: publicKey.export({ format: 'der', type: 'spki' }),
      };
      throw new GigvaultError('ALREADY_EXISTS', 'another instance was first');
    },
    async sign({ keyId, purpose, intentId, tbs }: SignRequest) {
      expect({ keyId, purpose, intentId }).toEqual({
        keyId: key!.id,
        purpose: 'auditSign',
        intentId: '',
      });
      return { signature: sign('sha256', tbs, key!.privateKey) };
    },
  };
}
