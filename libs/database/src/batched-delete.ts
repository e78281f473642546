import type { Pool } from 'pg';
import { query } from './query.ts';

/** Rows of one statement: short enough that nobody waits long for its locks. */
const BATCH = 5_000;

/**
 * Repeats a DELETE until it finds fewer rows than it may take, or `signal` aborts; returns how many are gone. Each run is a transaction
 * of its own. The statement's last parameter is the most rows that it may take: it must choose them by an index.
 */
export async function deleteInBatches(
  pool: Pool,
  text: string,
  values: readonly unknown[],
  signal: AbortSignal,
): Promise<number> {
  let gone = 0;
  for (;;) {
    const { rowCount } = await query(pool, { text, values: [...values, BATCH] });
    gone += rowCount ?? 0;
    if ((rowCount ?? 0) < BATCH || signal.aborted) return gone;
  }
}
