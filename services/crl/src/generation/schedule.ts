import { TOLERANCE } from '@gigvault/time/clock-guard';
import type { ShardState } from '../ports/shard.ts';

/** When CRLs are made. Milliseconds. */
export interface Schedule {
  readonly interval: number;
  readonly coalesce: number;
}

/** When the shard's next CRL is due, and why. */
export interface Due {
  /** Unix ms. */
  readonly at: number;
  readonly scheduled: boolean;
}

/**
 * The first CRL and an unfinished one are due at once; then one each `interval`. A revocation makes one due at once, unless one was made within `coalesce`:
 * then when that time is over, together with all other revocations of it. One from the future was made by a clock that was wrong, and is
 * replaced at once. Of a CA that has retired there is one more, which is good until the CA's own end, and then none but for a revocation. @param now Unix ms
 */
export function nextDue(shard: ShardState, schedule: Schedule, now: number): Due {
  const { published, scheduledUpdate, changedAt } = shard;
  // What was begun took the shard's changes with it: it is finished, or begun again, at once.
  if (!published || scheduledUpdate === undefined || shard.open) return { at: 0, scheduled: true };
  if (Math.max(published.thisUpdate, scheduledUpdate) > now + TOLERANCE)
    return { at: 0, scheduled: true };
  const regular = { at: regularly(shard, scheduledUpdate, schedule, now), scheduled: true };
  if (changedAt === undefined) return regular;
  const urgent = Math.max(Math.min(changedAt, now), published.thisUpdate + schedule.coalesce);
  return urgent < regular.at ? { at: urgent, scheduled: false } : regular;
}

function regularly(
  { endsAt, published }: ShardState,
  scheduledUpdate: number,
  { interval }: Schedule,
  now: number,
): number {
  if (endsAt === undefined) return scheduledUpdate + interval;
  const isLast = published !== undefined && published.nextUpdate >= endsAt;
  return isLast || now >= endsAt ? Number.POSITIVE_INFINITY : 0;
}
