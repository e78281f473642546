import { deleteInBatches } from '@gigvault/database/batched-delete';
import type { ServiceContext } from '@gigvault/host/service';
import { periodic, type Worker } from '@gigvault/time/worker';

const HOUR = 3_600_000;

/** By the index `status_end`, oldest first; by ctid, since the planner joins a list of keys by a scan of the table. */
export const PRUNE = `
  DELETE FROM status WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM status WHERE not_after < $1 ORDER BY not_after LIMIT $2))`;

/**
 * Deletes the states of certificates that ended more than `keep` milliseconds ago. Who asks for one all the same gets the answer of
 * `ca`, which forgets nothing.
 */
export function pgStatusPruner(
  context: Pick<ServiceContext<unknown>, 'database' | 'clock' | 'clockGuard' | 'log'>,
  keep: number,
): Worker {
  const { database, clock, clockGuard, log } = context;
  return periodic({
    name: 'ocsp.status-pruner',
    clock,
    interval: HOUR,
    async round(signal) {
      const states = await deleteInBatches(database, PRUNE, [clockGuard.now() - keep], signal);
      if (states > 0)
        log.info(
          { operation: 'ocsp.status-pruner', states },
          'states of ended certificates are gone',
        );
    },
    onError: (error) =>
      log.warn({ error, operation: 'ocsp.status-pruner' }, 'old states are not deleted'),
  });
}
