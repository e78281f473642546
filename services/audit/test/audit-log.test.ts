import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createEventLog, createEventLogTables, type EventLog } from '@gigvault/database/event-log';
import { transaction } from '@gigvault/database/transaction';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpRequest, Operation } from '@gigvault/http/route';
import { verifyCheckpoint } from '@gigvault/merkle/checkpoint';
import { verifyConsistency, verifyInclusion } from '@gigvault/merkle/proof';
import { leafHash } from '@gigvault/merkle/tree';
import { verifyLog } from '@gigvault/merkle/verify-log';
import type { GenerateKeyRequest, Key } from '@gigvault/proto/keymgr/v1/key';
import type { SignRequest } from '@gigvault/proto/keymgr/v1/signing';
import { RPC } from '@gigvault/rpc/contracts';
import type { ServiceName } from '@gigvault/rpc/service-name';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { AuditInit1764000000000 } from '../migrations/audit-init.ts';
import { pgTreeWriter } from '../src/adapters/pg-tree.ts';
import { AuditRpc } from '../src/api/grpc.ts';
import { auditOperations } from '../src/api/http.ts';
import { auditConfig } from '../src/audit.config.ts';
import { wireAudit } from '../src/audit.module.ts';
import { signCheckpoint } from '../src/checkpoint/sign-checkpoint.ts';
import { appendEvents } from '../src/recording/append-events.ts';

class Producer1700000000000 implements MigrationInterface {
  readonly name = 'Producer1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await createEventLogTables(queryRunner, ['audit']);
  }
  async down(): Promise<void> {}
}

const PRODUCERS = ['ca', 'ra', 'keymgr', 'auth', 'enroll'] as const;
const ORIGIN = 'gigvault.local/audit';
const never = new AbortController().signal;
let database: TestDatabase;
let pool: Pool;
let producers: Record<string, { pool: Pool; log: EventLog }>;
let audit: ReturnType<typeof wireAudit>;
let rpc: AuditRpc;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('audit', [AuditInit1764000000000]);
  producers = {};
  for (const producer of PRODUCERS) {
    const producerPool = await database.pool(producer, [Producer1700000000000]);
    const log = createEventLog({
      pool: producerPool,
      producer,
      consumers: ['audit'],
      clock: systemClock,
    });
    await log.worker.start();
    producers[producer] = { pool: producerPool, log };
  }
  audit = start();
  rpc = new AuditRpc(audit.log);
  await audit.keeper.start();
  for (const consumer of audit.consumers) await consumer.start();
});

afterAll(async () => {
  for (const { log } of Object.values(producers)) await log.worker.stop();
  for (const consumer of audit.consumers) await consumer.stop();
  await audit.keeper.stop();
  await database.stop();
});

/** The other services, as the audit service sees them: real event logs, and a key manager that makes its key on demand. */
function start() {
  const keymgr = fakeKeymgr();
  return wireAudit({
    clock: systemClock,
    config: auditConfig.parse(undefined),
    database: pool,
    log: silentLog,
    metrics: createMetrics(),
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

async function say(producer: string, ...subjects: string[]): Promise<void> {
  const { pool: from, log } = producers[producer]!;
  const events = subjects.map((subject) => ({
    type: 'thing.made',
    actor: 'user:1',
    subject,
    data: { z: 1, a: producer },
  }));
  await transaction(from, (client) => log.append(client, events));
}

/** Until everything that was said is in a signed checkpoint. */
async function recorded(): Promise<void> {
  for (const consumer of audit.consumers) await consumer.caughtUp();
  const size = await audit.log.tree.size();
  while ((await audit.log.checkpoints.newest())?.treeSize !== size) await systemClock.sleep(5);
}

async function exportLog() {
  const all = [];
  for (;;) {
    const { entries } = await rpc.listEntries({ start: all.length, limit: 7 });
    if (entries.length === 0) return all;
    all.push(...entries);
  }
}

// covers: G54, G55, G56
describe('the audit service', () => {
  it('appends the events of every producer, each once, and signs the tree', async () => {
    await Promise.all(
      PRODUCERS.flatMap((p) => [say(p, 'a', 'b'), say(p, 'c'), say(p, 'd', 'e', 'f')]),
    );
    await recorded();
    const checkpoint = await rpc.getCheckpoint();
    expect(checkpoint.treeSize).toBe(30);
    expect(verifyCheckpoint(checkpoint.note, checkpoint.publicKey, ORIGIN)).toMatchObject({
      size: 30,
      root: checkpoint.rootHash,
    });
    const log = await exportLog();
    const head = { size: checkpoint.treeSize, root: checkpoint.rootHash };
    expect(await verifyLog(log, [head])).toEqual({ findings: [], leaves: 30, verifiedSize: 30 });
    for (const producer of PRODUCERS) {
      const events = log.filter(({ event }) => event?.producer === producer);
      expect(events.map(({ event }) => event!.position)).toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  it('proves every entry, by index and by event, and that later trees extend earlier ones', async () => {
    const first = await rpc.getCheckpoint();
    await say('ca', 'later');
    await recorded();
    const { entry, path, checkpoint } = await rpc.getInclusionProof({
      leafIndex: 0,
      producer: 'ca',
      position: 7,
    });
    expect(entry!.event).toMatchObject({ subject: 'later', data: Buffer.from('{"a":"ca","z":1}') });
    for (let leafIndex = 0; leafIndex < checkpoint!.treeSize; leafIndex += 1) {
      const proof = await rpc.getInclusionProof({ leafIndex, producer: '', position: 0 });
      const isIncluded = verifyInclusion({
        leafHash: leafHash(proof.entry!.leaf),
        leafIndex,
        size: proof.checkpoint!.treeSize,
        path: proof.path,
        root: proof.checkpoint!.rootHash,
      });
      expect(isIncluded).toBe(true);
    }
    expect(path.length).toBeGreaterThan(0);
    const consistency = await rpc.getConsistencyProof({
      first: first.treeSize,
      second: checkpoint!.treeSize,
    });
    const isConsistent = verifyConsistency({
      first: first.treeSize,
      second: checkpoint!.treeSize,
      firstRoot: first.rootHash,
      secondRoot: checkpoint!.rootHash,
      path: consistency.path,
    });
    expect(isConsistent).toBe(true);
  });

  it('says what it does not have', async () => {
    await expect(
      rpc.getInclusionProof({ leafIndex: 999, producer: '', position: 0 }),
    ).rejects.toMatchObject({
      code: 'AUDIT_ENTRY_NOT_FOUND',
    });
    await expect(
      rpc.getInclusionProof({ leafIndex: 0, producer: 'ca', position: 99 }),
    ).rejects.toMatchObject({
      code: 'AUDIT_ENTRY_NOT_FOUND',
    });
    await expect(rpc.getConsistencyProof({ first: 2, second: 1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(rpc.getConsistencyProof({ first: 2, second: 999 })).rejects.toMatchObject({
      code: 'AUDIT_ENTRY_NOT_FOUND',
    });
    await expect(rpc.listEntries({ start: -1, limit: 1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('answers REST with base64, as its schemas say', async () => {
    const operations = auditOperations(audit.log) as Operation[];
    const ask = async (operationId: string, query: object) => {
      const found = operations.find((candidate) => candidate.operationId === operationId)!;
      const request = { query: found.query?.parse(query) } as unknown as HttpRequest<
        never,
        never,
        never
      >;
      const reply = await found.handle(request);
      expect(found.permission).toBe('audit:read');
      return found.replies[200]!.parse(reply.body) as Record<string, never>;
    };
    const entries = await ask('listAuditEntries', { start: '2', limit: '3' });
    expect(entries).toMatchObject({
      nextStart: 5,
      items: [{ leafIndex: 2 }, { leafIndex: 3 }, { leafIndex: 4 }],
    });
    expect(await ask('getAuditCheckpoint', {})).toMatchObject({ treeSize: 31 });
    expect(await ask('getAuditProof', { producer: 'ca', position: '1' })).toMatchObject({
      entry: { event: { producer: 'ca', position: 1, data: { a: 'ca', z: 1 } } },
    });
    expect(await ask('getAuditProof', { leafIndex: '0' })).toMatchObject({
      entry: { leafIndex: 0 },
    });
    expect(await ask('getAuditConsistency', { first: '1', second: '2' })).toMatchObject({
      path: [expect.any(String)],
    });
    await expect(ask('getAuditProof', {})).rejects.toThrow('give leafIndex');
    await expect(ask('getAuditProof', { leafIndex: '1', producer: 'ca' })).rejects.toThrow(
      'give leafIndex',
    );
  });

  it('cannot change or delete what it has recorded', async () => {
    for (const table of ['leaf', 'node', 'checkpoint']) {
      await expect(pool.query(`DELETE FROM ${table}`)).rejects.toMatchObject({ code: '42501' });
      await expect(pool.query(`TRUNCATE ${table}`)).rejects.toMatchObject({ code: '42501' });
    }
    await expect(pool.query("UPDATE leaf SET leaf = ''")).rejects.toMatchObject({ code: '42501' });
  });

  it('is healthy while it gets on', async () => {
    for (const { check } of audit.healthChecks) await check();
  });

  // covers: T65
  it('refuses to sign a tree that does not extend the last one it signed, or is shorter', async () => {
    const owner = database.ownerPool('audit');
    for (const consumer of audit.consumers) await consumer.stop();
    await audit.keeper.stop();
    const deps = {
      ...audit.log,
      clock: systemClock,
      origin: ORIGIN,
      signer: { publicKey: fail, sign: fail },
    };
    const { rows } = await owner.query('DELETE FROM leaf WHERE leaf_index = 30 RETURNING *');
    await expect(signCheckpoint(deps)).rejects.toMatchObject({
      message: expect.stringContaining('31 were signed'),
    });
    await owner.query('INSERT INTO leaf SELECT 30, $1, $2, $3, $4', [
      rows[0].producer,
      rows[0].position,
      rows[0].leaf,
      Buffer.alloc(32),
    ]);
    await transaction(pool, (client) => appendEvents(pgTreeWriter(client), [newEvent(1)]));
    await expect(signCheckpoint(deps)).rejects.toMatchObject({
      message: expect.stringContaining('does not extend'),
    });
    const { findings } = await verifyLog(await exportLogStored(), []);
    expect(findings).toMatchObject([{ problem: 'edited', leafIndex: 30 }]);
  });
});

async function exportLogStored() {
  return audit.log.leaves.leaves(0, 1000);
}

function newEvent(position: number) {
  const data = Buffer.from('{}');
  return {
    position,
    producer: 'other',
    type: 'x.y',
    occurredAt: 1,
    actor: 'a',
    subject: 's',
    data,
    traceId: '',
  };
}

async function fail(): Promise<never> {
  throw new Error('must not be asked');
}
