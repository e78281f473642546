import { eventually } from '@gigvault/testkit/eventually';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from 'pg';
import { crlService } from '../src/crl.module.ts';
import { type CrlWorld, crlWorld, startedCrlWorld } from './crl-world.ts';

let database: TestDatabase;
let pool: Pool;
let world: CrlWorld;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('crl', crlService.migrations);
});
afterAll(() => database.stop());
afterEach(() => world.stop());

/** The status of each path below /crl. */
function answered(...paths: string[]): Promise<number[]> {
  return Promise.all(paths.map(async (path) => (await world.fetch(`/crl/${path}.crl`)).status));
}

describe('a CRL that is not there yet', () => {
  it('at a first start: 503 until the first is published, 404 only once it is known which CAs there are', async () => {
    world = await crlWorld(pool, { rootCrlFile: '/nonexistent/root.crl' });
    world.ca.down = true;
    world.keymgr.mode = 'down';
    await world.start();
    expect(await answered('issuing/0', 'nobody/0', 'root/0')).toEqual([503, 503, 503]);
    const { headers } = await world.fetch('/crl/issuing/0.crl');
    expect([headers?.['retry-after'], headers?.['cache-control']]).toEqual(['60', 'no-store']);
    world.ca.down = false;
    await eventually(async () => {
      world.clock.advance(5_000);
      expect(await answered('issuing/0', 'issuing/1', 'nobody/0')).toEqual([503, 404, 404]);
    });
    world.keymgr.mode = 'well';
    await eventually(async () => {
      world.clock.advance(5_000);
      expect(await answered('issuing/0')).toEqual([200]);
    });
    // It is configured: its file may come.
    expect(await answered('root/0', 'root/1')).toEqual([503, 404]);
  });

  it('at a restart, until the table was read: 503 — covers: T7, T19', async () => {
    world = await startedCrlWorld(pool);
    await world.stop();
    world = world.another();
    const owner = database.ownerPool('crl');
    const slow = await owner.connect();
    try {
      await slow.query('BEGIN; LOCK TABLE shard');
      await world.start();
      await eventually(async () => {
        const waiting = `SELECT 1 FROM pg_locks WHERE relation = 'shard'::regclass AND NOT granted`;
        expect((await owner.query(waiting)).rows).not.toEqual([]);
      });
      expect(await answered('issuing/0')).toEqual([503]);
      await slow.query('COMMIT');
    } finally {
      slow.release();
      await owner.end();
    }
    await eventually(async () =>
      expect(await answered('issuing/0', 'nobody/0')).toEqual([200, 404]),
    );
  });
});
