import { query } from '@gigvault/database/query';
import type { Pool } from 'pg';
import type { BackendTestTable, TestKey } from '../ports/backend-test-table.ts';

/** The table `backend_test`. */
export function pgBackendTestTable(pool: Pool): BackendTestTable {
  return {
    async begin({ backend, name, keyType }, at) {
      await query(pool, {
        text: 'INSERT INTO backend_test (backend, name, key_type, begun_at) VALUES ($1, $2, $3, $4)',
        values: [backend, name, keyType, new Date(at)],
      });
    },
    async end({ name }) {
      await query(pool, { text: 'DELETE FROM backend_test WHERE name = $1', values: [name] });
    },
    async begunBefore(backend, then) {
      const { rows } = await query<TestKey>(pool, {
        text: `SELECT backend, name, key_type AS "keyType" FROM backend_test
               WHERE backend = $1 AND begun_at < $2 ORDER BY begun_at LIMIT 100`,
        values: [backend, new Date(then)],
      });
      return rows;
    },
  };
}
