import { ERROR_TABLE, type ErrorCode, publicErrorCode } from '@gigvault/errors/error-table';

/** Why a command failed: one line each. */
export interface Fact {
  /** What it is about, as `dnsNames[1] "*.corp.example"`; may be empty. */
  readonly subject: string;
  readonly text: string;
}

/** What a person can do: a command to paste, and what it does. */
export interface Try {
  /** One that begins with `--` is added to the command that was typed. */
  readonly command: string;
  readonly note?: string;
}

/** What a failure carries beside its message. */
export interface FailureDetails {
  readonly code?: ErrorCode;
  /** The code as shown, when the server's is not in this version's table. */
  readonly shownCode?: string;
  /** Overrides the code's exit code. */
  readonly exitCode?: number;
  readonly facts?: readonly Fact[];
  readonly tries?: readonly Try[];
  readonly more?: string;
  readonly traceId?: string;
  readonly cause?: unknown;
  /** The server may have done what it was asked, although it did not say so. */
  readonly maybeDone?: boolean;
}

const DOCS = 'https://docs.gigvault.dev/errors/';

/** A failure in the four parts in which people read it: what, why, what to do, where to look. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  /** As `GV-POLICY-DENIED`. */
  readonly shownCode: string;
  /** One of the exit codes of the CLI: README.md has the table. */
  readonly exitCode: number;
  readonly facts: readonly Fact[];
  readonly tries: readonly Try[];
  readonly more: string;
  readonly traceId: string | undefined;
  readonly maybeDone: boolean;

  constructor(message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    const code = details.code ?? 'INTERNAL';
    this.shownCode = details.shownCode ?? publicErrorCode(code);
    this.exitCode = details.exitCode ?? ERROR_TABLE[code].exit;
    this.facts = details.facts ?? [];
    this.tries = details.tries ?? [];
    this.more = details.more ?? DOCS + this.shownCode;
    this.traceId = details.traceId;
    this.maybeDone = details.maybeDone ?? false;
  }

  /** The same failure with other things to try. */
  withTries(tries: readonly Try[]): CliFailure {
    const { shownCode, exitCode, facts, more, traceId, maybeDone, cause } = this;
    const trace = traceId === undefined ? {} : { traceId };
    const details = { shownCode, exitCode, facts, more, maybeDone, cause, ...trace };
    return new CliFailure(this.message, { ...details, tries });
  }
}

/** A usage failure: exit 2. */
export function usage(message: string, ...tries: Try[]): CliFailure {
  return new CliFailure(message, { code: 'INVALID_ARGUMENT', tries });
}

/** Why a file that the user named cannot be read. */
export function whyUnreadable({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'it does not exist';
  if (code === 'EISDIR') return 'it is a folder';
  return code === 'EACCES' ? 'this user may not read it' : message;
}
