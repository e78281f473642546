import type { ServiceName } from '@gigvault/rpc/service-name';
import type { Log } from '@gigvault/telemetry/log';
import { type ClientConfig, Pool, types } from 'pg';
import { arrayParser } from './array-parsers.ts';
import { MAX_CONNECTIONS } from './embedded-postgres.ts';
import { followPrimary } from './follow-primary.ts';
import { serviceRole } from './role.ts';
import { findWritableServer, type ServerAddress } from './writable-server.ts';

/** Connections by service, at the default budget. Event logs and consumers take theirs from here as well. */
const SHARES = {
  auth: 8,
  policy: 3,
  keymgr: 12,
  ca: 18,
  ra: 12,
  enroll: 14,
  ocsp: 10,
  crl: 6,
  audit: 10,
  notify: 5,
} as const satisfies Record<ServiceName, number>;

const SHARES_TOTAL = Object.values(SHARES).reduce((sum, share) => sum + share, 0);

/** What all pools of all services may take together from a default server: some stay free for people and migrations. */
export const CONNECTION_BUDGET = MAX_CONNECTIONS - 20;

/** Milliseconds. What others wait for with a signature is short, and whoever waits longer has gone (P19). */
const STATEMENT_TIMEOUTS: Partial<Record<ServiceName, number>> = { keymgr: 5_000 };
const STATEMENT_TIMEOUT = 15_000;

/** Milliseconds after the statement timeout until a connection that does not answer is given up. */
const SILENCE = 2_000;

/** A service's own way into the database. */
export interface ServicePoolOptions {
  /** Host, port, ssl; user, password and database are filled in here. */
  readonly connection: ClientConfig;
  /** All servers that it may be on, when there are several: `connection` leads to the one that takes writes. */
  readonly servers?: readonly ServerAddress[];
  readonly database: string;
  readonly service: ServiceName;
  readonly password: string;
  readonly log: Log;
  /** Connections of all services together. Default CONNECTION_BUDGET. */
  readonly budget?: number;
  /** Milliseconds. Default 15,000, of keymgr 5,000. */
  readonly statementTimeout?: number;
}

/** How many connections `service` may hold of `budget`. At least 4: one listens, one says that the process lives (ca), one consumes, one works. */
export function poolSize(service: ServiceName, budget: number): number {
  return Math.max(4, Math.floor((SHARES[service] * budget) / SHARES_TOTAL));
}

/**
 * A pool of the service's runtime role. `bigint` columns arrive as numbers where they are safe integers, otherwise as strings.
 * Connections are made when needed. Errors of idle connections are logged, never thrown.
 */
export function servicePool(options: ServicePoolOptions): Pool {
  const { service, servers = [] } = options;
  const { statementTimeout = STATEMENT_TIMEOUTS[service] ?? STATEMENT_TIMEOUT } = options;
  const login = loginOf(options);
  const follower = servers.length > 1 ? followPrimary(servers, login, options.log) : undefined;
  const pool = new Pool({
    ...login,
    ...follower?.config,
    application_name: `gigvault-${service}`,
    max: poolSize(service, options.budget ?? CONNECTION_BUDGET),
    statement_timeout: statementTimeout,
    // The server ends a slow statement itself; this is for a server that has gone silent.
    query_timeout: statementTimeout + SILENCE,
    idle_in_transaction_session_timeout: 30_000,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    // Every query of a service has its index. Left to itself the planner scans tables that are small yet, and keeps that plan while they grow.
    // That makes plans look expensive, for which compiling them would be worth while: it takes seconds for a query of a millisecond.
    options: `-c search_path=${service} -c enable_seqscan=off -c jit=off`,
    types: { getTypeParser },
  });
  follower?.attach(pool);
  pool.on('error', (error) => options.log.warn({ error }, 'an idle database connection failed'));
  return pool;
}

/** As servicePool; where there are several servers, on the one that takes writes now. Errors: as findWritableServer. */
export async function openServicePool(options: ServicePoolOptions): Promise<Pool> {
  const { servers = [], connection } = options;
  if (servers.length < 2) return servicePool(options);
  const { host, port } = await findWritableServer(servers, loginOf(options));
  return servicePool({ ...options, connection: { ...connection, host, port } });
}

function loginOf({ connection, database, service, password }: ServicePoolOptions): ClientConfig {
  return {
    ...connection,
    connectionString: undefined,
    database,
    user: serviceRole(database, service),
    password,
  };
}

function bigint(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

const getTypeParser: typeof types.getTypeParser = ((oid: number, format?: 'text') => {
  const ours = oid === types.builtins.INT8 ? bigint : arrayParser(oid);
  return (format !== ('binary' as string) && ours) || types.getTypeParser(oid, format);
}) as typeof types.getTypeParser;
