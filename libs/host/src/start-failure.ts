import { isErrorCode, publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';

/** Why a process did not start: one line for people, and the exit code. */
export interface StartFailure {
  /** As `error: Port 9090 (admin listener) is in use by another program.   GV-CONFLICT`. */
  readonly line: string;
  readonly exitCode: number;
}

/** What to say of an error that stops a start. What is not ours is told by its message: an operator reads it, not a client. */
export function startFailure(error: unknown): StartFailure {
  const ours = isUsage(error)
    ? new GigvaultError('INVALID_ARGUMENT', error.message)
    : asGigvaultError(error);
  const cause = ours.code === 'INTERNAL' ? (ours.cause ?? ours) : ours;
  const message = [
    cause instanceof Error ? cause.message : String(cause),
    ...ours.furtherProblems.map(({ pointer, message }) =>
      `${pointer}: ${message}`.replace(/\.?$/, '.'),
    ),
  ].join(' ');
  return {
    line: `error: ${message.replaceAll(/\s*\n\s*/g, ' ')}   ${publicErrorCode(ours.code)}`,
    exitCode: ours.row.exit,
  };
}

const LINE = /^error: (.*?)(?: {3}GV-(.*))?$/m;

/** The error in what a process said on stderr, which startFailure wrote; UNAVAILABLE when it has no code that is known here. */
export function toldFailure(said: string): GigvaultError | undefined {
  const [, message, shown = ''] = LINE.exec(said) ?? [];
  if (message === undefined) return undefined;
  const code = shown.replaceAll('-', '_');
  return new GigvaultError(isErrorCode(code) ? code : 'UNAVAILABLE', message);
}

/** node:util's parseArgs refused a flag. */
function isUsage(error: unknown): error is Error {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_');
}
