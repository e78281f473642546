import { ERROR_TABLE, type ErrorCode, type ErrorRow, isErrorCode } from './error-table.ts';

/** What else an error may carry. Everything here is shown to the caller. */
export interface ErrorDetails {
  /** Facts by name, as `{ key_id: 'my-key' }`. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  /** One entry for each thing that is wrong, as `{ pointer: '/names/1', message: '…' }` (RFC 6901 pointers). */
  readonly problems?: readonly Problem[];
  /** Seconds after which a retry makes sense. */
  readonly retryAfter?: number;
  /** Why, for the log; never sent. */
  readonly cause?: unknown;
}

/** One thing that is wrong with a request. */
export interface Problem {
  readonly pointer: string;
  readonly message: string;
}

/** A failure that the caller can understand. `message` is in the user's words and safe to show. */
export class GigvaultError extends Error {
  override readonly name = 'GigvaultError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number | boolean>>;
  readonly problems: readonly Problem[];
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, more: ErrorDetails = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.code = code;
    this.details = more.details ?? {};
    this.problems = more.problems ?? [];
    this.retryAfter = more.retryAfter ?? (ERROR_TABLE[code].retry ? 1 : undefined);
  }

  /** The problems that the message does not say, word for word. */
  get furtherProblems(): readonly Problem[] {
    return this.problems.filter(({ message }) => message !== this.message);
  }

  /** The error's row in the table. */
  get row(): ErrorRow {
    return ERROR_TABLE[this.code];
  }
}

/** The error itself when it is ours; otherwise INTERNAL with the original as its cause and no detail for the caller. */
export function asGigvaultError(error: unknown): GigvaultError {
  if (error instanceof GigvaultError) return error;
  return new GigvaultError('INTERNAL', 'Something went wrong on our side.', { cause: error });
}

/** An error as data, for RPC trailers and stored results. */
export interface ErrorRecord {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
  readonly problems?: readonly Problem[];
  readonly retryAfter?: number;
}

/** The parts of an error that travel. */
export function toErrorRecord(error: GigvaultError): ErrorRecord {
  return {
    code: error.code,
    message: error.message,
    details: error.details,
    problems: error.problems,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
  };
}

/** The error that a record tells of; a code that this version does not know becomes INTERNAL. */
export function fromErrorRecord(record: ErrorRecord): GigvaultError {
  const code = isErrorCode(record.code) ? record.code : 'INTERNAL';
  return new GigvaultError(code, record.message, record);
}
