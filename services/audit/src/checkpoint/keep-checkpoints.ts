import { failureLog, type Log } from '@gigvault/telemetry/log';
import { periodic, type Worker } from '@gigvault/time/worker';
import type { SignedCheckpoint } from '../ports/checkpoints.ts';
import { type CheckpointDeps, signCheckpoint } from './sign-checkpoint.ts';

/** What keeping the tree signed needs. */
export interface KeepDeps extends CheckpointDeps {
  /** Milliseconds between two checkpoints under load. */
  readonly interval: number;
  readonly log: Log;
  onSigned(checkpoint: SignedCheckpoint): void;
}

/** A worker that signs. */
export interface CheckpointKeeper extends Worker {
  /** There are new leaves: signs at once when the last attempt is long enough ago, otherwise as soon as it is. */
  wake(): void;
  /** Why the last attempt failed; undefined when it did not. */
  failure(): unknown;
}

/** Looks even when nobody woke it: another instance may have appended. */
const IDLE_INTERVAL = 5_000;

/** Signs the tree's head after appends, coalesced. */
export function keepCheckpoints(deps: KeepDeps): CheckpointKeeper {
  let attemptedAt = Number.NEGATIVE_INFINITY;
  const failures = failureLog(
    deps.log,
    'the audit tree could not be signed',
    'the audit tree is signed again',
  );
  const worker = periodic({
    name: 'audit.checkpoints',
    clock: deps.clock,
    interval: IDLE_INTERVAL,
    async round(signal) {
      // No longer than the interval, should the clock have been set back.
      const early = Math.min(deps.interval, attemptedAt + deps.interval - deps.clock.now());
      if (early > 0) await deps.clock.sleep(early, signal);
      attemptedAt = deps.clock.now();
      deps.onSigned(await signCheckpoint(deps));
      failures.worked();
    },
    onError: (error) => failures.failed('error', error),
  });
  return { ...worker, failure: failures.failure };
}
