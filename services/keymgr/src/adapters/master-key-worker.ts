import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import { continueRotations, type MasterKeyDeps } from '../master-key/rotate-master-key.ts';

const HOUR = 3_600_000;

/** Goes on with what is begun: at the start, when it is woken, and once an hour. */
export function masterKeyWorker(deps: MasterKeyDeps, clock: Clock): Worker & { wake(): void } {
  return periodic({
    name: 'keymgr.master-key',
    clock,
    interval: HOUR,
    round: (signal) => continueRotations(deps, signal),
    onError: (error) =>
      deps.log.error(
        { error, operation: 'rotate-master-key' },
        'keys stay under an earlier master key',
      ),
  });
}
