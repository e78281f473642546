import type { Clock } from '@gigvault/time/clock';
import { periodic, type Worker } from '@gigvault/time/worker';
import { type DestroyDeps, destroyDueKeys } from '../destruction/destroy-due-keys.ts';

const MINUTE = 60_000;

/** Destroys what is due, once a minute, in every replica. */
export function keyDestroyer(deps: DestroyDeps, clock: Clock): Worker {
  return periodic({
    name: 'keymgr.destroyer',
    clock,
    interval: MINUTE,
    round: (signal) => destroyDueKeys(deps, signal).then(() => undefined),
    onError: (error) =>
      deps.log.warn({ error, operation: 'destroy-key' }, 'no key is destroyed now'),
  });
}
