import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { Client, type ClientConfig } from 'pg';

/** Where a PostgreSQL listens. */
export interface ServerAddress {
  /** A name, an address without brackets, or a socket's directory. */
  readonly host: string;
  readonly port: number;
}

/** A server that takes writes. */
export interface WritableServer extends ServerAddress {
  /** Raised by each promotion (PostgreSQL manual, §25.3.6). */
  readonly timeline: number;
}

/** What a server says of itself. A standby has no current write position, so it is not asked for one. */
const LOOK = `
  SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS "isReadOnly",
         CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline`;

/** How to look. */
export interface LookOptions {
  /** Servers of a timeline below it have been superseded. */
  readonly atLeast?: number;
  /** Milliseconds for one server to say it. Default 10,000: a process that starts is busy with itself. */
  readonly patience?: number;
}

/**
 * The one of these servers that takes writes. All are asked at the same time, and all are waited for: where two take writes the one with
 * the higher timeline was promoted, and the other is a primary that does not know yet that it is none any more.
 * Errors: UNAVAILABLE when no server takes writes; its cause says what each server said.
 *
 * @param login who asks, and of which database; with `ssl`
 */
export async function findWritableServer(
  servers: readonly ServerAddress[],
  login: ClientConfig,
  { atLeast = 0, patience = 10_000 }: LookOptions = {},
): Promise<WritableServer> {
  const answers = await Promise.allSettled(servers.map((server) => look(server, login, patience)));
  const writable = answers
    .flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    .filter((server) => server !== undefined && server.timeline >= atLeast)
    .sort((a, b) => b!.timeline - a!.timeline);
  if (writable[0]) return writable[0];
  const reasons = answers.flatMap((answer) =>
    answer.status === 'rejected' ? [answer.reason as Error] : [],
  );
  // Where nobody can be reached at all, why not is what whoever gave the addresses wants to know.
  if (reasons.length === servers.length && atLeast === 0) throw reasons[0];
  throw new GigvaultError('UNAVAILABLE', 'No database server takes writes.', {
    cause: new AggregateError(reasons),
  });
}

/** Undefined: it is read-only. */
async function look(
  { host, port }: ServerAddress,
  login: ClientConfig,
  patience: number,
): Promise<WritableServer | undefined> {
  const client = new Client({
    ...login,
    connectionString: undefined,
    host,
    port,
    application_name: 'gigvault-look',
    connectionTimeoutMillis: patience,
    query_timeout: patience,
  });
  // A connection that dies after its answer.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ isReadOnly: boolean; timeline: string | null }>(LOOK);
    const [{ isReadOnly, timeline } = { isReadOnly: true, timeline: null }] = rows;
    if (isReadOnly || timeline === null) return undefined;
    return { host, port, timeline: Number.parseInt(timeline, 16) };
  } finally {
    // Not waited for: a server that has gone silent would not say goodbye either.
    client.end().catch(() => undefined);
  }
}
