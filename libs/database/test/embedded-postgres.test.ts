import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { silentLog } from '@gigvault/telemetry/log';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded-postgres.ts';

const execute = promisify(execFile);

let directory: string;
const running: EmbeddedPostgres[] = [];

// One cluster for all tests that do not need a fresh one: initdb is what takes time here.
beforeAll(async () => {
  // A name that would be two directories, or none, to whoever does not quote it.
  directory = await mkdtemp(join(tmpdir(), 'gigvault "embedded", -'));
  // As root, PostgreSQL's user must get through the temporary directory.
  await chmod(directory, 0o755);
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((postgres) => postgres.stop()));
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function start(dataDir = join(directory, 'pg')): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog });
  running.push(postgres);
  return postgres;
}

async function connect(
  postgres: EmbeddedPostgres,
  password = postgres.adminPassword,
): Promise<Client> {
  const client = new Client({
    host: postgres.host,
    port: postgres.port,
    user: postgres.adminUser,
    password,
    database: 'postgres',
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function ask(postgres: EmbeddedPostgres, sql: string): Promise<unknown> {
  const client = await connect(postgres);
  try {
    const { rows } = await client.query(sql);
    return Object.values(rows[0] ?? {})[0];
  } finally {
    await client.end();
  }
}

describe('startEmbeddedPostgres', () => {
  it('listens on a private socket only, with durable settings, and keeps its data over a restart', async () => {
    const first = await start();
    expect(await ask(first, 'SHOW listen_addresses')).toBe('');
    expect(await ask(first, 'SHOW fsync')).toBe('on');
    expect(await ask(first, 'SHOW server_version')).toContain(first.version.replace(/\.0$/, ''));
    expect((await stat(first.host)).mode & 0o777).toBe(0o700);
    await expect(connect(first, 'wrong')).rejects.toMatchObject({ code: '28P01' });
    await ask(first, 'CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await start();
    expect(await ask(second, 'SELECT answer FROM kept')).toBe(42);
  });

  it('has no variable of its parent that may be a secret — covers: T66', async () => {
    const names = ['GIGVAULT_HSM_PIN', 'VAULT_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'PGPASSWORD'];
    for (const name of names) process.env[name] = 'canary';
    try {
      const { pid } = await start(join(directory, 'without-secrets'));
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
      expect(environment).toContain(`PATH=${process.env['PATH']}`);
      expect(environment).not.toContain('canary');
    } finally {
      for (const name of names) delete process.env[name];
    }
  });

  it('belongs to a user of its own when root starts it, and stays with its owner', async () => {
    const postgres = await start();
    const [{ uid }, { uid: mine }] = [
      await stat(join(directory, 'pg', 'cluster')),
      await stat(directory),
    ];
    const names = (await readFile('/etc/passwd', 'utf8')).split('\n');
    const owner = names.find((line) => Number(line.split(':')[2]) === uid)?.split(':')[0];
    if (mine === 0) expect(['gigvault', 'postgres', 'nobody']).toContain(owner);
    else expect(uid).toBe(mine);
    await postgres.stop();
    if (mine !== 0) return;
    // As an older version left it.
    const nobody = names.find((line) => line.startsWith('nobody:'))?.split(':') as string[];
    await execute('chown', ['-R', `${nobody[2]}:${nobody[3]}`, join(directory, 'pg')]);
    expect(await ask(await start(), 'SELECT 1')).toBe(1);
    expect((await stat(join(directory, 'pg', 'cluster'))).uid).toBe(Number(nobody[2]));
  });

  it('finishes an interrupted initialisation, and uses a short socket directory when the path is long', async () => {
    const parent = join(directory, 'a'.repeat(60));
    const dataDir = join(parent, 'b'.repeat(60));
    await mkdir(join(dataDir, 'cluster.new'), { recursive: true });
    await writeFile(join(dataDir, 'cluster.new', 'half'), '');
    const postgres = await start(dataDir);
    expect(Buffer.byteLength(postgres.host)).toBeLessThan(90);
    expect(await ask(postgres, 'SELECT 1')).toBe(1);
    await postgres.stop();
    await rm(postgres.host, { recursive: true, force: true });
  });

  it('starts within 2 s while the server of a killed parent still runs, and loses nothing', async () => {
    const dataDir = join(directory, 'pg');
    const left = await leaveBehind(dataDir);
    expect(await isAlive(left)).toBe(true);
    const before = performance.now();
    const postgres = await start(dataDir);
    expect(performance.now() - before).toBeLessThan(2000);
    expect(await isAlive(left)).toBe(false);
    expect(await ask(postgres, 'SELECT answer FROM kept')).toBe(42);
  });

  it('starts after the server itself was killed in the middle of work', async () => {
    const first = await start();
    await ask(first, 'CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer');
    const client = await connect(first);
    const busy = client.query('SELECT pg_sleep(30)').catch(() => undefined);
    process.kill(first.pid, 'SIGKILL');
    await first.gone;
    const second = await start();
    expect(await ask(second, 'SELECT answer FROM kept')).toBe(42);
    await busy;
  });

  it('takes no notice of a pid file whose number belongs to somebody else', async () => {
    const first = await start();
    await first.stop();
    const pidFile = join(directory, 'pg', 'cluster', 'postmaster.pid');
    await writeFile(pidFile, `${process.pid}\n${join(directory, 'pg', 'cluster')}\n`);
    expect(await ask(await start(), 'SELECT 1')).toBe(1);
    expect(await isAlive(process.pid)).toBe(true);
  });

  it('refuses a cluster of another major version in words', async () => {
    const first = await start();
    await first.stop();
    const versionFile = join(directory, 'pg', 'cluster', 'PG_VERSION');
    await writeFile(versionFile, '12\n');
    await expect(start()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('PostgreSQL 12'),
    });
  });
});

/** Starts a server from a process that is then killed; returns the server's pid. */
async function leaveBehind(dataDir: string): Promise<number> {
  const first = await start(dataDir);
  await ask(first, 'CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer');
  const args = await commandLine(first.pid);
  await running.pop()!.stop();
  const { uid, gid } = await stat(join(dataDir, 'cluster'));
  const runner = `const c = require('node:child_process').spawn(process.argv[1], process.argv.slice(2), { detached: true, stdio: 'ignore', cwd: '/', uid: ${uid}, gid: ${gid} }); console.log(c.pid); setInterval(() => 0, 1000);`;
  const parent = spawn(process.execPath, ['-e', runner, '--', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise<number>((resolve) => {
    parent.stdout.once('data', (line) => resolve(Number(String(line))));
  });
  const pidFile = join(dataDir, 'cluster', 'postmaster.pid');
  while (!(await readFile(pidFile, 'utf8').catch(() => '')).includes('ready')) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  const gone = new Promise((resolve) => parent.once('exit', resolve));
  parent.kill('SIGKILL');
  await gone;
  return pid;
}

async function commandLine(pid: number): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
}

/** A process that ended but that nobody has waited for has no command line. */
async function isAlive(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== '';
}
