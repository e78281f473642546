import type { ShardState } from '../ports/shard.ts';

/** Milliseconds that a revocation may take until it is on a CRL, beside the time that revocations are collected in. */
const PROMISED = 60_000;

/**
 * The clock over revocations: throws when one has waited for longer than it may. What was begun on schedule and hangs counts as well: it may hold some.
 * @param coalesce milliseconds @param now Unix ms
 */
export function checkRevocations(
  shards: readonly ShardState[],
  coalesce: number,
  now: number,
): void {
  for (const { issuerId, crlShard, changedAt, openSince } of shards) {
    const since = Math.min(changedAt ?? now, openSince ?? now);
    if (now - since <= PROMISED + coalesce) continue;
    const seconds = Math.floor((now - since) / 1000);
    throw new Error(`revocations wait for CRL ${crlShard} of ${issuerId} since ${seconds} s`);
  }
}
