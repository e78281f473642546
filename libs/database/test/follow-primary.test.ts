import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client, type Pool } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { openServicePool } from '../src/pools.ts';
import { query } from '../src/query.ts';
import { transaction } from '../src/transaction.ts';
import { findWritableServer, type ServerAddress } from '../src/writable-server.ts';

class Init1700000000000 implements MigrationInterface {
  readonly name = 'Init1700000000000';
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE thing (id int)');
  }
  async down(): Promise<void> {}
}

/** Servers that know nothing of each other: what matters here is which of them takes writes. */
let databases: [TestDatabase, TestDatabase];
let servers: [ServerAddress, ServerAddress];
/** When each was started: they are copies, and their times are what tells them apart. */
const started: string[] = [];
const STARTED = 'SELECT pg_postmaster_start_time()::text AS time';

beforeAll(async () => {
  databases = [await startTestDatabase(), await startTestDatabase()];
  for (const database of databases) {
    await (await database.pool('ca', [Init1700000000000])).end();
    const owner = database.ownerPool('ca');
    started.push((await owner.query<{ time: string }>(STARTED)).rows[0]!.time);
  }
  servers = databases.map(({ admin }) => ({ host: admin.host!, port: admin.port! })) as never;
});

afterAll(() => Promise.all(databases.map((database) => database.stop())));

/** For sessions to come, and, by the signal, for those that are open. */
async function setReadOnly(which: 0 | 1, readOnly: boolean): Promise<void> {
  const client = new Client(databases[which].admin);
  await client.connect();
  await client.query(`ALTER SYSTEM SET default_transaction_read_only = ${readOnly}`);
  await client.query('SELECT pg_reload_conf()');
  await client.end();
  const login = { ...databases[which].admin };
  await eventually(async () => {
    const look = findWritableServer([servers[which]], login);
    if (readOnly) await expect(look).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    else await look;
  });
}

beforeEach(async () => {
  await setReadOnly(0, true);
  await setReadOnly(1, false);
});

const open = (among: readonly [ServerAddress, ServerAddress] = servers): Promise<Pool> =>
  openServicePool({
    connection: { ...among[0], ssl: false },
    servers: among,
    database: 'gigvault',
    service: 'ca',
    password: 'only-for-tests',
    log: silentLog,
  });

/** Which of the two it is on. */
async function where(pool: Pool): Promise<number> {
  const { rows } = await query<{ time: string }>(pool, STARTED);
  return started.indexOf(rows[0]!.time);
}

describe('several servers (covers: T7, T8)', () => {
  it('a pool begins on the one that takes writes, wherever it stands in the list', async () => {
    const pool = await open();
    expect(await where(pool)).toBe(1);
    await pool.end();
  });

  it('there is no pool while none takes writes', async () => {
    await setReadOnly(1, true);
    await expect(open()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('a pool drops connections to a server that is read-only now, and follows the other', async () => {
    const pool = await open();
    expect(await where(pool)).toBe(1);
    await setReadOnly(1, true);
    await setReadOnly(0, false);
    const write = () => transaction(pool, (client) => client.query('INSERT INTO thing VALUES (1)'));
    await expect(write()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await eventually(async () => {
      await write();
      expect(await where(pool)).toBe(0);
    });
    await pool.end();
  });

  it('a pool whose connections do not break looks by itself as well', async () => {
    const pool = await open();
    expect(await where(pool)).toBe(1);
    await setReadOnly(0, false);
    await setReadOnly(1, true);
    // Nobody asks it for anything: the look alone finds the other, and cuts what is idle.
    await eventually(() => expect(pool.options.port).toBe(servers[0].port), 15_000);
    await eventually(() => expect(pool.totalCount).toBe(0));
    expect(await where(pool)).toBe(0);
    // Where both take writes and neither was promoted, it stays where it is.
    await setReadOnly(1, false);
    await query(pool, 'SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
    await eventually(async () => expect(await where(pool)).toBe(0));
    await pool.end();
  });

  it('a connection that waits on the server before is cut once the other was found', async () => {
    const pool = await open();
    const waiting = transaction(pool, (client) => client.query('SELECT pg_sleep(60)'));
    const failed = waiting.catch((error: unknown) => error);
    await setReadOnly(0, false);
    await setReadOnly(1, true);
    // Whoever is turned away first makes the pool look.
    const { totalCount } = pool;
    expect(totalCount).toBe(1);
    await query(pool, 'SELECT 1').catch(() => undefined);
    expect(await failed).toMatchObject({ code: 'UNAVAILABLE' });
    await eventually(async () => expect(await where(pool)).toBe(0));
    await pool.end();
  });

  it('the pools of a process look together', async () => {
    const relay = await countingRelay(servers[1]);
    const pools = await Promise.all([1, 2, 3, 4, 5, 6].map(() => open([servers[0], relay])));
    for (const pool of pools) expect(await where(pool)).toBe(1);
    const before = relay.connections();
    relay.cut();
    await eventually(() =>
      expect(pools.map((pool) => pool.totalCount)).toEqual(pools.map(() => 0)),
    );
    for (const pool of pools) expect(await where(pool)).toBe(1);
    // One look for all, another for those whose connection broke during it, and the regular one.
    const looks = () => relay.connections() - before - pools.length;
    await eventually(() => expect(looks()).toBeGreaterThan(0));
    expect(looks()).toBeLessThanOrEqual(3);
    // Who is left goes on.
    await Promise.all(pools.slice(1).map((pool) => pool.end()));
    await setReadOnly(0, false);
    await setReadOnly(1, true);
    await query(pools[0]!, 'SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
    await eventually(async () => expect(await where(pools[0]!)).toBe(0));
    await pools[0]!.end();
    relay.close();
  });
});

/** A way to a server, on which connections are counted. */
async function countingRelay(to: ServerAddress) {
  const open = new Set<Socket>();
  let count = 0;
  const relay = createServer((socket) => {
    count++;
    const onward = connect(`${to.host}/.s.PGSQL.${to.port}`);
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      open.add(one);
      one.on('error', () => undefined);
      one.once('close', () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    host: '127.0.0.1',
    port: (relay.address() as AddressInfo).port,
    connections: () => count,
    cut,
    close() {
      cut();
      relay.close();
    },
  };
}
