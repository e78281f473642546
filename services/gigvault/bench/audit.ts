import { pgCheckpointStore } from '@gigvault/audit/adapters/pg-checkpoint-store';
import { pgTree, pgTreeWriter } from '@gigvault/audit/adapters/pg-tree';
import { auditService } from '@gigvault/audit/audit.module';
import { getInclusionProof } from '@gigvault/audit/proof/read-log';
import { rootHash } from '@gigvault/audit/proof/tree-hashes';
import { appendEvents } from '@gigvault/audit/recording/append-events';
import { transaction } from '@gigvault/database/transaction';
import { verifyInclusion } from '@gigvault/merkle/proof';
import { leafHash } from '@gigvault/merkle/tree';
import { startTestDatabase } from '@gigvault/testkit/test-database';
import type { Effort, Measurement } from './measurement.ts';
import { median, quantile } from './statistics.ts';

const LEAVES = 1_000_000;
/** As a consumer pulls them: one transaction. */
const BATCH = 500;
const PROOFS = 1_000;

/** The audit tree grown to a million leaves as its consumer grows it, durable batch by durable batch; then proofs of leaves anywhere, each verified. */
export async function* benchAudit({ rounds }: Effort): AsyncIterable<Measurement> {
  const size = rounds < 5 ? LEAVES / 10 : LEAVES;
  const database = await startTestDatabase();
  try {
    const pool = await database.pool('audit', auditService.migrations);
    const rates: number[] = [];
    const cpu = process.cpuUsage();
    for (let share = 0; share < 10; share++) {
      const begin = performance.now();
      for (let at = (share * size) / 10; at < ((share + 1) * size) / 10; at += BATCH) {
        await transaction(pool, (client) => appendEvents(pgTreeWriter(client), eventsFrom(at)));
      }
      rates.push(size / 10 / ((performance.now() - begin) / 1000));
    }
    const { user, system } = process.cpuUsage(cpu);
    yield {
      work: `audit events appended, up to ${size} leaves`,
      unit: '/s',
      value: median(rates),
      cpu: { node: (user + system) / size },
      rounds: rates.length,
      floor: { value: 10_000 },
      goal: { value: 20_000 },
      details: { first: rates[0] as number, last: rates.at(-1) as number },
    };
    const tree = pgTree(pool);
    const root = await rootHash(tree, size);
    const checkpoints = pgCheckpointStore(pool);
    const nothing = Buffer.alloc(1);
    await checkpoints.add({
      treeSize: size,
      rootHash: root,
      timestamp: 1,
      note: '',
      publicKey: nothing,
    });
    const times: number[] = [];
    for (let i = 0; i < PROOFS; i++) {
      const leafIndex = Math.floor(Math.random() * size);
      const begin = performance.now();
      const { entry, path } = await getInclusionProof(
        { tree, leaves: tree, checkpoints },
        { leafIndex },
      );
      times.push(performance.now() - begin);
      if (!verifyInclusion({ leafHash: leafHash(entry!.leaf), leafIndex, size, path, root }))
        throw new Error(`the proof of leaf ${leafIndex} does not verify`);
    }
    times.sort((a, b) => a - b);
    yield {
      work: `inclusion proof at ${size} leaves`,
      unit: 'ms',
      value: quantile(times, 0.5),
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      rounds: PROOFS,
      floor: { value: 5, p99: 5 },
      goal: { value: 1 },
    };
  } finally {
    await database.stop();
  }
}

/** Events as `ca` tells of issuance, about 500 octets as leaves. */
function eventsFrom(first: number) {
  return Array.from({ length: BATCH }, (_, i) => ({
    position: first + i + 1,
    producer: 'ca',
    type: 'certificate.issued',
    occurredAt: 1_764_000_000_000 + first + i,
    actor: 'acme:6f9619ff-8b86-d011-b42d-00cf4fc964ff',
    subject: (first + i).toString(16).padStart(32, '7'),
    data: Buffer.from(
      JSON.stringify({
        commonName: '',
        crlShard: 0,
        issuerId: 'issuing',
        names: [`n${first + i}.example.com`],
        notAfter: 1_771_000_000_000,
        profile: 'tls-server',
        serialNumber: (first + i).toString(16).padStart(32, '7'),
        tbsSha256: 'n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=',
      }),
    ),
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  }));
}
