import { query } from '@gigvault/database/query';
import type { KeyHandle } from '@gigvault/keystore/key-store';
import type { Pool } from 'pg';
import type { TrialTable } from '../ports/trial-table.ts';

/** The table `backend_trial`. */
export function pgTrialTable(pool: Pool): TrialTable {
  return {
    async begin(backend, handle, at) {
      await query(pool, {
        text: 'INSERT INTO backend_trial (backend, handle, begun_at) VALUES ($1, $2, $3)',
        values: [backend, handle, new Date(at)],
      });
    },
    async end(backend, handle) {
      await query(pool, {
        text: 'DELETE FROM backend_trial WHERE backend = $1 AND handle = $2',
        values: [backend, handle],
      });
    },
    async begunBefore(backend, then) {
      const { rows } = await query<{ handle: KeyHandle }>(pool, {
        text: 'SELECT handle FROM backend_trial WHERE backend = $1 AND begun_at < $2 ORDER BY handle',
        values: [backend, new Date(then)],
      });
      return rows.map(({ handle }) => handle);
    },
  };
}
