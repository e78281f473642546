import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  ADMIN_USER,
  adminPasswordFile,
  type Cluster,
  clusterPath,
  prepareDataDir,
} from '@gigvault/database/embedded/cluster';
import { type Postmaster, startPostmaster } from '@gigvault/database/embedded/postmaster';
import { databaseUser, type SystemUser } from '@gigvault/database/embedded/system-user';
import { freePorts } from '@gigvault/rpc/free-ports';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { Client, type ClientConfig } from 'pg';

/** One of the two servers. */
export interface Replica {
  readonly port: number;
  /** As the superuser. */
  connection(database?: string): ClientConfig;
  run(sql: string, database?: string): Promise<Record<string, unknown>[]>;
  start(): Promise<void>;
  /** SIGKILL of the postmaster; its processes go with it. */
  kill(): Promise<void>;
}

/** A primary and its streaming standby: a commit is acknowledged once both have it. */
export interface ReplicatedPostgres {
  readonly primary: Replica;
  readonly standby: Replica;
  /** Both, in libpq's form. */
  url(database: string): string;
  stop(): Promise<void>;
}

const PORTS = { first: 19_000, block: 4, blocks: 200 };
/** Debian's (scripts/test-deps.sh), the oldest that is taken, with its default settings. */
const PROGRAMS = '/usr/lib/postgresql/15/bin';
/** The standby's name: it must have had each commit. */
const STANDBY = 'standby';

/** Starts both on copies of a new cluster. Resolves once the standby is synchronous. */
export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'gv-replicated-'));
  chmodSync(directory, 0o711);
  const [first = 0, second = 0] = await freePorts(2, PORTS);
  const primary = await makeReplica(join(directory, 'primary'), first);
  const copy = join(directory, 'standby');
  execFileSync('cp', ['-a', join(directory, 'primary'), copy]);
  const standby = await makeReplica(copy, second);
  followFrom(clusterPath(copy), primary);
  await primary.start();
  await standby.start();
  await primary.run(`ALTER SYSTEM SET synchronous_standby_names = '${STANDBY}'`);
  await primary.run('SELECT pg_reload_conf()');
  await eventually(async () => {
    const [row] = await primary.run('SELECT sync_state FROM pg_stat_replication');
    if (row?.['sync_state'] !== 'sync') throw new Error('the standby is not synchronous yet');
  });
  return {
    primary,
    standby,
    url(database) {
      const { password } = primary.connection();
      return `postgresql://${ADMIN_USER}:${password}@localhost:${first},localhost:${second}/${database}?target_session_attrs=read-write`;
    },
    async stop() {
      await Promise.all([primary.kill(), standby.kill()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function makeReplica(dataDir: string, port: number): Promise<Replica> {
  const user = await databaseUser(dirname(dataDir));
  await prepareDataDir(dataDir, user);
  const cluster = initialise(dataDir, user);
  let running: Postmaster | undefined;
  const connection = (database = 'postgres') => ({
    host: 'localhost',
    port,
    user: ADMIN_USER,
    password: cluster.adminPassword,
    database,
  });
  return {
    port,
    connection,
    async run(sql, database) {
      const client = new Client(connection(database));
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(sql)).rows;
      } finally {
        await client.end();
      }
    },
    async start() {
      running = await startPostmaster({
        program: join(PROGRAMS, 'postgres'),
        cluster,
        socketDir: dataDir,
        port,
        settings: { listen_addresses: 'localhost', max_connections: '250' },
        user,
        log: silentLog,
      });
    },
    async kill() {
      if (running === undefined) return;
      process.kill(running.pid, 'SIGKILL');
      await running.gone;
      running = undefined;
    },
  };
}

/** A new cluster, unless it is there: a copy is. */
function initialise(dataDir: string, user: SystemUser | undefined): Cluster {
  const path = clusterPath(dataDir);
  const passwordFile = adminPasswordFile(dataDir);
  if (!existsSync(path)) {
    writeFileSync(passwordFile, randomUUID(), { mode: 0o600 });
    if (user) chownSync(passwordFile, user.uid, user.gid);
    const access = [`--username=${ADMIN_USER}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    const kind = ['--encoding=UTF8', '--locale=C.UTF-8', '--no-instructions'];
    const owner = user && { uid: user.uid, gid: user.gid };
    execFileSync(join(PROGRAMS, 'initdb'), [`--pgdata=${path}`, ...access, ...kind], {
      cwd: dataDir,
      ...owner,
    });
  }
  const adminPassword = readFileSync(passwordFile, 'utf8');
  return { path, logFile: join(dataDir, 'postgres.log'), adminPassword };
}

/** Makes a copied cluster a standby of `primary`. */
function followFrom(cluster: string, primary: Replica): void {
  const { host, port, user, password } = primary.connection();
  const conninfo = `host=${host} port=${port} user=${user} password=${password} application_name=${STANDBY}`;
  appendFileSync(join(cluster, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
  writeFileSync(join(cluster, 'standby.signal'), '', { mode: 0o644 });
}
