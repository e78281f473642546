import { eventually } from '@gigvault/testkit/eventually';
import { readCertificate } from '@gigvault/x509/certificate';
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

describe('the CRLs of a CA’s new key, and the last one of its old key', () => {
  it('the new key is confirmed when all of them are served, and not before — covers: G24', async () => {
    shared.world = await startedCrlWorld(shared.pool);
    const { ca, keymgr } = shared.world;
    keymgr.mode = 'down';
    ca.addIssuer('issuing-g2', 2, keymgr.keys, 'prepared');
    await eventually(async () => {
      shared.world.clock.advance(5_000);
      expect(await answered('issuing-g2/0', 'issuing-g2/1')).toEqual([503, 503]);
    });
    expect(ca.confirmed).toEqual([]);
    // Nobody has a certificate of it: the others' CRLs are served on.
    await shared.world.health('crl.published');
    keymgr.mode = 'well';
    await eventually(() => {
      shared.world.clock.advance(5_000);
      expect(ca.confirmed).toEqual(['issuing-g2']);
    });
    expect(await answered('issuing-g2/0', 'issuing-g2/1')).toEqual([200, 200]);
  });

  it('the last one is good until the CA’s own end: none follows but for a revocation, and nobody is alarmed', async () => {
    shared.world = await startedCrlWorld(shared.pool);
    const { ca, clock } = shared.world;
    const [issuer] = ca.issuers;
    const { notAfter } = readCertificate(issuer!.certificate);
    ca.move('issuing', 'superseded');
    ca.move('issuing', 'retired');
    const last = await eventually(async () => {
      clock.advance(1_000);
      const crl = await shared.world.crl();
      expect(crl.nextUpdate).toBe(notAfter);
      return crl;
    });
    const before = await rounds();
    clock.advance((notAfter - clock.now()) * 0.9);
    await eventually(async () => {
      clock.advance(1_000);
      expect(await rounds()).toBeGreaterThan(before + 1);
    });
    expect((await shared.world.crl()).crlNumber).toBe(last.crlNumber);
    await shared.world.health('crl.freshness');
    const { crl } = await shared.world.listed(ca.revoke({ notAfter: clock.now() }));
    expect(crl.nextUpdate).toBe(notAfter);
  });
});

async function rounds(): Promise<number> {
  const text = await shared.world.metrics.exposition();
  return Number(/gigvault_crl_rounds_total (\d+)/.exec(text)?.[1]);
}
