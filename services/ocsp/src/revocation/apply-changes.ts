import type { StateChange } from '../ports/certificate-state.ts';
import type { StatusChanges } from '../ports/status-store.ts';

/**
 * Writes what a batch of events tells, in their order, into the transaction of `store`.
 * At least once and idempotent: a batch may arrive again, and revoked never becomes good.
 */
export async function applyChanges(
  store: StatusChanges,
  changes: readonly StateChange[],
): Promise<void> {
  const last = new Map<string, StateChange>();
  for (const change of changes) {
    const key = `${change.issuerId}/${change.serialNumber}`;
    const before = last.get(key);
    if (before?.status === 'revoked' && change.status === 'good') continue;
    last.set(key, change);
  }
  if (last.size > 0) await store.apply([...last.values()]);
}
