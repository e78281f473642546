import { systemClock } from '@gigvault/time/clock';

/**
 * Calls `attempt` until it neither throws nor rejects, and resolves with its result. Rejects with its last failure when
 * `limit` milliseconds have passed.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  limit = 20_000,
  pause = 50,
): Promise<T> {
  const end = systemClock.now() + limit;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (systemClock.now() >= end) throw error;
    }
    await systemClock.sleep(pause);
  }
}
