import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { DRAIN_LIMIT } from '@gigvault/host/service-process';
import { systemClock } from '@gigvault/time/clock';

/** A service drains for DRAIN_LIMIT; its workers and its pool have this long afterwards. */
const AFTER_DRAIN = 10_000;

/** SIGTERM, and after `patience` milliseconds SIGKILL. Resolves when it is gone. */
export async function endProcess(
  child: ChildProcess,
  patience = DRAIN_LIMIT + AFTER_DRAIN,
): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  const inTime = new AbortController();
  child.kill('SIGTERM');
  systemClock.sleep(patience, inTime.signal).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  );
  await exited;
  inTime.abort();
}
