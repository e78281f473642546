import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresBinaries } from '@gigvault/database/embedded/binaries';
import {
  ADMIN_USER,
  clusterPath,
  prepareCluster,
  prepareDataDir,
} from '@gigvault/database/embedded/cluster';
import { startPostmaster } from '@gigvault/database/embedded/postmaster';
import { databaseUser } from '@gigvault/database/embedded/system-user';
import { freePorts } from '@gigvault/rpc/free-ports';
import { silentLog } from '@gigvault/telemetry/log';
import { runOrFail } from '@gigvault/testkit/run-program';
import { Client } from 'pg';

/** A PostgreSQL that belongs to nobody: on TCP, with TLS for `localhost`, and with people who may do more or less. */
export interface ExternalPostgres {
  readonly port: number;
  /** Its own certificate, and its CA's. */
  readonly certificate: string;
  /** @param query as `?sslmode=require`. @param user default the superuser */
  url(database: string, query?: string, user?: string): string;
  /** As the superuser. */
  run(sql: string, database?: string): Promise<unknown[]>;
  stop(): Promise<void>;
}

/** Of the people that `run` makes with it. */
export const PASSWORD = 'for/tests:only@';

const PORTS = { first: 20_000, block: 4, blocks: 400 };

/** Started on a new cluster in a temporary directory. */
export async function startExternalPostgres(): Promise<ExternalPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'gv-external-'));
  chmodSync(directory, 0o711);
  const dataDir = join(directory, 'pg');
  const user = await databaseUser(clusterPath(dataDir));
  await prepareDataDir(dataDir, user);
  const binaries = await postgresBinaries(dataDir, user);
  const cluster = await prepareCluster(dataDir, binaries, user);
  const certificate = join(directory, 'server.crt');
  const key = join(dataDir, 'server.key');
  const files = ['-keyout', key, '-out', certificate];
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  await runOrFail('openssl', ['req', '-x509', ...kind, ...names, ...files]);
  chmodSync(certificate, 0o644);
  if (user) chownSync(key, user.uid, user.gid);
  chmodSync(key, 0o600);
  const [port = 0] = await freePorts(1, PORTS);
  const postmaster = await startPostmaster({
    program: binaries.postgres,
    cluster,
    socketDir: dataDir,
    port,
    settings: {
      listen_addresses: 'localhost',
      max_connections: '250',
      ssl: 'on',
      ssl_cert_file: certificate,
      ssl_key_file: key,
    },
    user,
    log: silentLog,
  });
  return {
    port,
    certificate,
    url(database, query = '', who = ADMIN_USER) {
      const password = who === ADMIN_USER ? cluster.adminPassword : PASSWORD;
      return `postgres://${who}:${encodeURIComponent(password)}@localhost:${port}/${database}${query}`;
    },
    async run(sql, database = 'postgres') {
      const password = cluster.adminPassword;
      const client = new Client({ host: 'localhost', port, user: ADMIN_USER, password, database });
      await client.connect();
      try {
        return (await client.query(sql)).rows as unknown[];
      } finally {
        await client.end();
      }
    },
    async stop() {
      await postmaster.stop('immediate');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
