import { type Logger, pino } from 'pino';
import { activeSpanContext, currentCorrelation } from './correlation.ts';
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

/** Where log lines go and which. */
export interface LogOptions {
  readonly service: string;
  readonly version: string;
  readonly level: string;
  /** A file path, or 1 for stdout, 2 for stderr. */
  readonly destination: string | number;
}

/**
 * A logger that writes JSON lines. Inside a request every line has its `request_id`, `trace_id`, `span_id` and
 * `actor.id`; fields that are secrets by name or by form are masked at any depth, in errors' messages and causes too.
 */
export function createLog(options: LogOptions): Log {
  return asLog(
    pino(
      {
        level: options.level,
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
      pino.destination({ dest: options.destination, sync: true, mkdir: true }),
    ),
  );
}

function asLog(logger: Logger): Log {
  return {
    debug: (fields, msg) => logger.debug(fields, msg),
    info: (fields, msg) => logger.info(fields, msg),
    warn: (fields, msg) => logger.warn(fields, msg),
    error: (fields, msg) => logger.error(fields, msg),
    // Fields of a child do not pass the formatter.
    child: (fields) => asLog(logger.child(redact({ ...fields }))),
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

/** A logger that forgets everything, for tests of flows. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};
