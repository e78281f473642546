import { transaction } from '@gigvault/database/transaction';
import { verifyInclusion } from '@gigvault/merkle/proof';
import { completeSubtrees, leafHash } from '@gigvault/merkle/tree';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { AuditInit1764000000000 } from '../migrations/audit-init.ts';
import { pgTree, pgTreeWriter } from '../src/adapters/pg-tree.ts';
import { inclusionHashes, rootHash } from '../src/proof/tree-hashes.ts';
import { appendEvents } from '../src/recording/append-events.ts';

const BATCHES = 20;
const BATCH = 500;
const SIZE = BATCHES * BATCH;
let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('audit', [AuditInit1764000000000]);
  // Two writers at once: the lock makes them one.
  await Promise.all(
    Array.from({ length: BATCHES }, (_, batch) =>
      transaction(pool, (client) => appendEvents(pgTreeWriter(client), eventsOf(batch))),
    ),
  );
});
afterAll(() => database.stop());

function eventsOf(batch: number) {
  return Array.from({ length: BATCH }, (_, i) => ({
    position: i + 1,
    producer: `p${batch}`,
    type: 'thing.made',
    occurredAt: 1763764800000,
    actor: 'user:1',
    subject: `${batch}/${i}`,
    data: Buffer.from('{}'),
    traceId: '',
  }));
}

describe('a tree of 10,000 leaves', () => {
  it('proves leaves anywhere against a root from stored subtrees', async () => {
    const tree = pgTree(pool);
    expect(await tree.size()).toBe(SIZE);
    const root = await rootHash(tree, SIZE);
    for (const leafIndex of [0, 1, 4095, 4096, 8191, 8192, 9998, 9999]) {
      const [leaf] = await tree.leaves(leafIndex, 1);
      const path = await inclusionHashes(tree, leafIndex, SIZE);
      expect(
        verifyInclusion({ leafHash: leafHash(leaf!.leaf), leafIndex, size: SIZE, path, root }),
      ).toBe(true);
    }
  });

  it('reads the hashes of a proof by index, without a scan of a table', async () => {
    const owner = database.ownerPool('audit');
    await owner.query('ANALYZE');
    const ids = completeSubtrees({ start: 0, end: 9999 });
    const { rows } = await owner.query(`EXPLAIN (FORMAT JSON) ${await hashesSql()}`, [
      ids.map(({ level }) => level),
      ids.map(({ index }) => index),
    ]);
    const plan = JSON.stringify(rows[0]);
    expect(plan).toContain('node_pkey');
    expect(plan).toContain('leaf_pkey');
    expect(plan).not.toContain('Seq Scan');
  });
});

/** The statement as the adapter sends it. */
async function hashesSql(): Promise<string> {
  const asked: string[] = [];
  const spy = {
    query: async ({ text }: { text: string }) => {
      asked.push(text);
      return { rows: [{ hash: Buffer.alloc(32) }] };
    },
  };
  await pgTree(spy as never).hashes([{ level: 1, index: 0 }]);
  return asked[0]!;
}
