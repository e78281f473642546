import { startFailure } from './start-failure.ts';

/**
 * Calls `stop` when the supervisor that holds this process's stdin is gone, however it ended: nobody else would end a
 * process of its own group, and two of a service on one database are none too few.
 */
export function stopWithSupervisor(stop: () => void): void {
  process.stdin.once('end', stop);
  process.stdin.once('error', stop);
  process.stdin.resume();
}

/** Says on stderr, in one line, why this process cannot go on, and ends it. The supervisor passes the line on. */
export function failProcess(error: unknown): never {
  const { line, exitCode } = startFailure(error);
  process.stderr.write(`${line}\n`);
  process.exit(exitCode);
}
