import { type Logger, pino } from 'pino';
import { activeSpanContext, currentCorrelation } from './correlation.ts';
import { openLineWriter } from './line-writer.ts';
import { redact, redactText } from './redact.ts';

/** A logger of one service. One JSON line an entry, the field names of docs/operations/logs.md. */
export interface Log {
  debug(fields: object, msg: string): void;
  info(fields: object, msg: string): void;
  warn(fields: object, msg: string): void;
  error(fields: object, msg: string): void;
  /** The same logger with fields that stand in every line. */
  child(fields: object): Log;
}

/** How much a line matters. */
export type LogLevel = keyof typeof LEVELS;

const LEVELS = { debug: 0, info: 1, warn: 2, error: 3 } as const;

/** A log whose level may change while it is written. */
export interface AdjustableLog extends Log {
  /** For this log and every child of it, those that are there already too. */
  setLevel(level: LogLevel): void;
}

/** Where log lines go and which. */
export interface LogOptions {
  readonly service: string;
  readonly version: string;
  /** The least that is written: `debug`, `info`, `warn` or `error`. */
  readonly level: LogLevel;
  /** A file path, or 1 for stdout, 2 for stderr. */
  readonly destination: string | number;
}

/**
 * A logger that writes JSON lines. Inside a request every line has its `request_id`, `trace_id`, `span_id` and
 * `actor.id`; fields that are secrets by name or by form are masked at any depth, in errors' messages and causes too.
 * Logging never fails; see openLineWriter for what a full disk costs.
 */
export function createLog(options: LogOptions): AdjustableLog {
  // Not pino's own: its children keep the level that they were made with.
  const threshold = { level: options.level };
  const log: Log = asLog(
    pino(
      {
        level: 'debug',
        base: { service: options.service, version: options.version, instance: String(process.pid) },
        timestamp: pino.stdTimeFunctions.isoTime,
        mixin: correlationFields,
        formatters: {
          level: (label) => ({ level: label }),
          log: (fields) => redact({ ...fields, ...errorCode(fields['error']) }),
        },
        hooks: {
          logMethod(args, method) {
            const [fields, msg] = args as unknown as [object, string];
            method.apply(this, [fields, redactText(msg)] as never);
          },
        },
      },
      openLineWriter(options.destination, (lines, error) =>
        log.warn({ error, lines }, 'log lines were lost'),
      ),
    ),
    threshold,
  );
  return {
    ...log,
    setLevel(level) {
      threshold.level = level;
    },
  };
}

function asLog(logger: Logger, threshold: { readonly level: LogLevel }): Log {
  const at = (level: LogLevel) => (fields: object, msg: string) => {
    if (LEVELS[level] >= LEVELS[threshold.level]) logger[level](fields, msg);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    // Fields of a child do not pass the formatter.
    child: (fields) => asLog(logger.child(redact({ ...fields })), threshold),
  };
}

function correlationFields(): object {
  const correlation = currentCorrelation();
  const span = activeSpanContext();
  const traceId = span?.traceId ?? correlation?.traceId;
  return {
    ...(correlation ? { request_id: correlation.requestId } : {}),
    ...(traceId ? { trace_id: traceId } : {}),
    ...(span ? { span_id: span.spanId } : {}),
    ...(correlation?.actor ? { 'actor.id': correlation.actor } : {}),
  };
}

function errorCode(error: unknown): object {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? { 'error.code': code } : {};
}

/** The log of something that is tried again and again: a line when it begins to fail, fails otherwise, or works again, none for a retry. */
export interface FailureLog {
  /** Why the last attempt failed; undefined when it did not. */
  failure(): unknown;
  failed(level: 'warn' | 'error', error: unknown, fields?: object): void;
  worked(fields?: object): void;
}

/** @param failing the line when it fails. @param working the line when it works again. */
export function failureLog(log: Log, failing: string, working: string): FailureLog {
  let failure: unknown;
  return {
    failure: () => failure,
    failed(level, error, fields = {}) {
      if (failure === undefined || String(failure) !== String(error))
        log[level]({ ...fields, error }, failing);
      failure = error;
    },
    worked(fields = {}) {
      if (failure !== undefined) log.info(fields, working);
      failure = undefined;
    },
  };
}

/** A logger that forgets everything, for tests of flows. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
