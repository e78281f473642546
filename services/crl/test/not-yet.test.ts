import { eventually } from '@gigvault/testkit/eventually';
import { describe, expect, it } from '@jest/globals';
import { crlWorld, startedCrlWorld } from './crl-world.ts';
import { useCrl } from './use-crl.ts';

const shared = useCrl();

/** The status of each path below /crl. */
function answered(...paths: string[]): Promise<number[]> {
  return Promise.all(
    paths.map(async (path) => (await shared.world.fetch(`/crl/${path}.crl`)).status),
  );
}

describe('a CRL that is not there yet', () => {
  it('at a first start: 503 until the first is published, 404 only once it is known which CAs there are', async () => {
    shared.world = await crlWorld(shared.pool, { rootCrlFile: '/nonexistent/root.crl' });
    shared.world.ca.down = true;
    shared.world.keymgr.mode = 'down';
    await shared.world.start();
    expect(await answered('issuing/0', 'nobody/0', 'root/0')).toEqual([503, 503, 503]);
    const { headers } = await shared.world.fetch('/crl/issuing/0.crl');
    expect([headers?.['retry-after'], headers?.['cache-control']]).toEqual(['60', 'no-store']);
    shared.world.ca.down = false;
    await eventually(async () => {
      shared.world.clock.advance(5_000);
      expect(await answered('issuing/0', 'issuing/1', 'nobody/0')).toEqual([503, 404, 404]);
    });
    shared.world.keymgr.mode = 'well';
    await eventually(async () => {
      shared.world.clock.advance(5_000);
      expect(await answered('issuing/0')).toEqual([200]);
    });
    // It is configured: its file may come.
    expect(await answered('root/0', 'root/1')).toEqual([503, 404]);
  });

  it('at a restart, until the table was read: 503 — covers: T7, T19', async () => {
    shared.world = await startedCrlWorld(shared.pool);
    await shared.world.stop();
    shared.world = shared.world.another();
    const owner = shared.database.ownerPool('crl');
    const slow = await owner.connect();
    try {
      await slow.query('BEGIN; LOCK TABLE shard');
      await shared.world.start();
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
