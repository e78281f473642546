const waiting = new Map<string, number>();

/**
 * Tells that `change` more items (or fewer) wait in a queue in memory. Queues of one name are one: what a process shows is their sum,
 * in `gigvault_queue_depth{queue}`.
 */
export function countWaiting(queue: string, change: number): void {
  waiting.set(queue, (waiting.get(queue) ?? 0) + change);
}

/** How many items wait in this process, by the queue's name; 0 for one that has been used and is empty. */
export function waitingByQueue(): ReadonlyMap<string, number> {
  return waiting;
}
