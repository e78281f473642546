import { pino } from 'pino';

/** A logger of one service. One JSON line an entry, the field names of docs/operations/logs.md. */
export interface Log {
  debug(fields: object, msg: string): void;
  info(fields: object, msg: string): void;
  warn(fields: object, msg: string): void;
  error(fields: object, msg: string): void;
  /** The same logger with fields that stand in every line. */
  child(fields: object): Log;
}

/** Names of fields whose values never reach a log line, at any of the first three depths. */
const REDACTED = [
  'authorization',
  'password',
  'passphrase',
  'pin',
  'secret',
  'token',
  'apiKey',
  'privateKey',
  'cookie',
  'setupToken',
];

/** Where log lines go and which. */
export interface LogOptions {
  readonly service: string;
  readonly version: string;
  readonly level: string;
  /** A file path, or 1 for stdout, 2 for stderr. */
  readonly destination: string | number;
}

/** A logger that writes JSON lines, secrets masked. */
export function createLog(options: LogOptions): Log {
  return pino(
    {
      level: options.level,
      base: { service: options.service, version: options.version, instance: String(process.pid) },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (error: unknown) => errorFields(error) },
      redact: { paths: REDACTED.flatMap((k) => [k, `*.${k}`, `*.*.${k}`]), censor: '[redacted]' },
    },
    pino.destination({ dest: options.destination, sync: true, mkdir: true }),
  );
}

/** What a line says of an error, three causes deep. Its other properties stay out: drivers hang whole connections on theirs. */
function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    ...(error.cause === undefined || depth === 3 ? {} : { cause: errorFields(error.cause, depth + 1) }),
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
