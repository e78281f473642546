import { fillTable } from '@gigvault/testkit/growing-tables';
import type { Client } from 'pg';
import { quantile } from '../bench/statistics.ts';
import type { Load } from './load.ts';

/** Tables that an issuance, a revocation or a status question touches. */
const TABLES = ['ca.serial', 'ca.intent', 'ca.certificate', 'keymgr.signature', 'ocsp.status'];
const SMALL = 10_000;
const LARGE = 1_000_000;
const OPERATIONS = 4_000;
const IN_FLIGHT = 4;
/** Interleaving is not possible: rows are not taken out again. The better of so many rounds counts, on both sides. */
const ROUNDS = 4;

/** Milliseconds at which 99 of 100 operations were done, by size of the tables. */
export interface TableSizeResult {
  readonly operation: 'issue' | 'ask' | 'revoke';
  readonly small: number;
  readonly large: number;
}

/** Latencies with 10,000 and with 1,000,000 rows in every table on the way. */
export async function compareTableSizes(load: Load, database: Client): Promise<TableSizeResult[]> {
  const small = await measureAt(SMALL, load, database);
  const large = await measureAt(LARGE, load, database);
  return (['issue', 'ask', 'revoke'] as const).map((operation) => ({
    operation,
    small: small[operation],
    large: large[operation],
  }));
}

type Latencies = Record<TableSizeResult['operation'], number>;

async function measureAt(rows: number, load: Load, database: Client): Promise<Latencies> {
  await load.issue();
  for (const table of TABLES) {
    await fillTable(database, table, rows, settledRow(table));
    await database.query(`VACUUM ANALYZE ${table}`);
  }
  await database.query('CHECKPOINT');
  const best: Latencies = { issue: Infinity, ask: Infinity, revoke: Infinity };
  for (let round = 0; round < ROUNDS; round++) {
    const serialNumbers: string[] = [];
    const measured = {
      issue: await p99(async () => void serialNumbers.push(await load.issue())),
      ask: await p99((i) => load.ask(serialNumbers[i]!)),
      revoke: await p99((i) => load.revoke(serialNumbers[i]!)),
    };
    for (const operation of ['issue', 'ask', 'revoke'] as const)
      best[operation] = Math.min(best[operation], measured[operation]);
  }
  return best;
}

/** Copies are of what is done with: the workers have nothing to do about them. */
function settledRow(table: string): string {
  if (table === 'ca.intent') return "t.status = 'issued'";
  return table === 'ca.certificate' ? "t.status = 'valid'" : 'true';
}

async function p99(operation: (index: number) => Promise<void>): Promise<number> {
  const times: number[] = [];
  let next = 0;
  const client = async () => {
    while (next < OPERATIONS) {
      const start = performance.now();
      await operation(next++);
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, client));
  times.sort((a, b) => a - b);
  return quantile(times, 0.99);
}
