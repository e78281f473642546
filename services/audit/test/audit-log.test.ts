import { transaction } from '@gigvault/database/transaction';
import type { HttpRequest, Operation } from '@gigvault/http/route';
import { verifyCheckpoint } from '@gigvault/merkle/checkpoint';
import { verifyConsistency, verifyInclusion } from '@gigvault/merkle/proof';
import { leafHash } from '@gigvault/merkle/tree';
import { verifyLog } from '@gigvault/merkle/verify-log';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { pgTreeWriter } from '../src/adapters/pg-tree.ts';
import { AuditRpc } from '../src/api/grpc.ts';
import { auditOperations } from '../src/api/http.ts';
import { signCheckpoint } from '../src/checkpoint/sign-checkpoint.ts';
import { appendEvents } from '../src/recording/append-events.ts';
import { type AuditWorld, auditWorld, ORIGIN, PRODUCERS } from './audit-world.ts';

let world: AuditWorld;
let audit: AuditWorld['audit'];
let pool: Pool;
let rpc: AuditRpc;
let say: AuditWorld['say'];
let recorded: AuditWorld['recorded'];

beforeAll(async () => {
  world = await auditWorld();
  ({ audit, pool, say, recorded } = world);
  rpc = new AuditRpc(audit.log);
});

afterAll(() => world.stop());

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
    expect(checkpoint.treeSize).toBe(36);
    expect(verifyCheckpoint(checkpoint.note, checkpoint.publicKey, ORIGIN)).toMatchObject({
      size: 36,
      root: checkpoint.rootHash,
    });
    const log = await exportLog();
    const head = { size: checkpoint.treeSize, root: checkpoint.rootHash };
    expect(await verifyLog(log, [head])).toEqual({ findings: [], leaves: 36, verifiedSize: 36 });
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
    expect(await ask('getAuditCheckpoint', {})).toMatchObject({ treeSize: 37 });
    expect(await ask('getAuditProof', { producer: 'ca', position: '1' })).toMatchObject({
      entry: { event: { producer: 'ca', position: 1, data: { a: 'ca', z: 1 } } },
    });
    expect(await ask('getAuditProof', { leafIndex: '0' })).toMatchObject({
      entry: { leafIndex: 0 },
    });
    expect(await ask('getAuditConsistency', { first: '1', second: '2' })).toMatchObject({
      path: [expect.any(String)],
    });
    await expect(ask('getAuditProof', {})).rejects.toThrow('must name leafIndex');
    await expect(ask('getAuditProof', { leafIndex: '1', producer: 'ca' })).rejects.toThrow(
      'must name leafIndex',
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
    const owner = world.database.ownerPool('audit');
    await world.stopWorkers();
    const deps = {
      ...audit.log,
      clock: systemClock,
      origin: ORIGIN,
      signer: { publicKey: fail, sign: fail },
    };
    const { rows } = await owner.query('DELETE FROM leaf WHERE leaf_index = 36 RETURNING *');
    await expect(signCheckpoint(deps)).rejects.toMatchObject({
      message: expect.stringContaining('37 were signed'),
    });
    await owner.query('INSERT INTO leaf SELECT 36, $1, $2, $3, $4', [
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
    expect(findings).toMatchObject([{ problem: 'edited', leafIndex: 36 }]);
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
