import { query } from '@gigvault/database/query';
import type { ServiceContext } from '@gigvault/host/service';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { Pool } from 'pg';

const MINUTE = 60_000;

/** Of the index of `UNIQUE (backend, handle)`. Destroyed keys keep their row. */
const COUNT = `SELECT backend, count(*) AS keys FROM key GROUP BY backend`;

/** Counts the keys of each backend once a minute: by the table, since every replica generates. */
export function keyCounter(
  { clock, log, metrics }: Pick<ServiceContext<unknown>, 'clock' | 'log' | 'metrics'>,
  pool: Pool,
): Worker {
  const keys = metrics.gauge('keys_total', 'Keys in the key table', ['backend']);
  return periodic({
    name: 'keymgr.key-counter',
    clock,
    interval: MINUTE,
    async round() {
      const { rows } = await query<{ backend: string; keys: number }>(pool, {
        name: 'keymgr-count-keys',
        text: COUNT,
      });
      for (const { backend, keys: count } of rows) keys.set({ backend }, Number(count));
    },
    onError: (error) => log.warn({ error, operation: 'key-counter' }, 'keys are not counted'),
  });
}
