import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { systemClock } from '@gigvault/time/clock';
import type { Worker } from '@gigvault/time/worker';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { heldConnection } from '../src/held-connection.ts';

let database: TestDatabase;
let admin: Pool;
let network: Network;
let pool: Pool;
let worker: Worker;

beforeAll(async () => {
  database = await startTestDatabase();
  const login = { ...database.admin, database: 'postgres' };
  admin = new Pool(login);
  admin.on('error', () => undefined);
  network = await startNetwork(`${database.admin.host}/.s.PGSQL.${database.admin.port}`);
  pool = new Pool({ ...login, host: '127.0.0.1', port: network.port });
  pool.on('error', () => undefined);
});
afterEach(() => worker.stop());
afterAll(async () => {
  await Promise.all([pool.end(), admin.end()]);
  await network.stop();
  await database.stop();
});

/** What lies between a service and its database. */
interface Network {
  readonly port: number;
  /** From now on nothing passes through the connections of now, and nobody is told. */
  forget(): void;
  stop(): Promise<void>;
}

/** @param path the server's socket */
async function startNetwork(path: string): Promise<Network> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(path);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => to.destroy());
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    forget() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A held connection that listens; what it tells, in order. */
async function listening(pingEvery?: number): Promise<{ told: string[]; errors: unknown[] }> {
  const told: string[] = [];
  const errors: unknown[] = [];
  worker = heldConnection({
    name: 'test.listener',
    pool,
    clock: systemClock,
    ...(pingEvery ? { pingEvery } : {}),
    establish(client) {
      client.on('notification', ({ payload }) => told.push(payload ?? ''));
      return client.query('LISTEN held_connection_test');
    },
    held: () => told.push('held'),
    lost(error) {
      told.push('lost');
      errors.push(error);
    },
  });
  await worker.start();
  await eventually(() => expect(told).toEqual(['held']));
  return { told, errors };
}

describe('a held connection', () => {
  it('is made again at once however often it was lost, and stays while it answers', async () => {
    const { told } = await listening(50);
    const before = performance.now();
    for (let losses = 1; losses <= 6; losses++) {
      await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE query LIKE 'LISTEN held_connection_test' OR query LIKE '%-- test.listener'`,
      );
      await eventually(() => expect(told).toHaveLength(1 + 2 * losses));
    }
    // With a back-off that doubles the last pause alone would take longer.
    expect(performance.now() - before).toBeLessThan(12_800);
    expect(told.slice(-2)).toEqual(['lost', 'held']);
    await admin.query(`NOTIFY held_connection_test, 'heard'`);
    await eventually(() => expect(told.at(-1)).toBe('heard'));
  });

  it('is lost when it has fallen silent, and another is made', async () => {
    const { told, errors } = await listening(500);
    network.forget();
    await admin.query(`NOTIFY held_connection_test, 'missed'`);
    await eventually(() => expect(told).toEqual(['held', 'lost', 'held']));
    expect(errors).toEqual([expect.objectContaining({ message: 'the connection is silent' })]);
    await admin.query(`NOTIFY held_connection_test, 'heard'`);
    await eventually(() => expect(told.at(-1)).toBe('heard'));
  });

  it('is given back when it is no longer wanted', async () => {
    await listening();
    await worker.stop();
    expect(pool.totalCount).toBe(0);
  });
});
