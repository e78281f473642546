import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type { FreshnessStore } from '../ports/freshness-store.ts';

/** The freshness of ca's event log in table `freshness`. */
export function pgFreshnessStore(pool: Pool): FreshnessStore {
  return {
    async load() {
      const { rows } = await query<{ as_of: string }>(
        pool,
        `SELECT as_of FROM freshness WHERE producer = 'ca'`,
      );
      return rows[0] && Number(rows[0].as_of);
    },
    async save(asOf, now) {
      await query(pool, {
        text: `INSERT INTO freshness (producer, as_of) VALUES ('ca', $1)
         ON CONFLICT (producer) DO UPDATE
         SET as_of = greatest(CASE WHEN freshness.as_of <= $2 THEN freshness.as_of END, EXCLUDED.as_of)`,
        values: [asOf, now],
      });
    },
  };
}
