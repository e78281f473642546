import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError } from '@gigvault/errors/gigvault-error';

/**
 * Calls `stop` when the supervisor that holds this process's stdin is gone, however it ended: nobody else would end a
 * process of its own group, and two of a service on one database are none too few.
 */
export function stopWithSupervisor(stop: () => void): void {
  process.stdin.once('end', stop);
  process.stdin.once('error', stop);
  process.stdin.resume();
}

/** Says on stderr why this process cannot go on, in the form that the supervisor passes on, and ends it. */
export function failProcess(error: unknown): never {
  const ours = asGigvaultError(error);
  const cause = ours.cause instanceof Error ? `\n${ours.cause.stack ?? ours.cause.message}` : '';
  process.stderr.write(`error: ${ours.message}   ${publicErrorCode(ours.code)}${cause}\n`);
  process.exit(ours.row.exit);
}
