import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NO_DOOR } from '@gigvault/http/admit';
import { startHttpServer } from '@gigvault/http/http-server';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { failureLog, type Log, silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { toPem } from '@gigvault/x509/pem';
import { describe, expect, it } from '@jest/globals';
import { crlFiles } from '../src/adapters/crl-files.ts';
import { rootCrlFile as readRootCrlFile } from '../src/adapters/file-root-crl.ts';
import { pgCrlStore } from '../src/adapters/pg-crl-store.ts';
import { pgShardDirectory } from '../src/adapters/pg-shard-directory.ts';
import { rpcCrlSigner } from '../src/adapters/rpc-crl-signer.ts';
import { keepCrls } from '../src/generation/keep-crls.ts';
import { createServedCrls } from '../src/serving/served-crls.ts';
import { crlWorld } from './crl-world.ts';
import { opensslCrl } from './openssl-crl.ts';
import { useCrl } from './use-crl.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const shared = useCrl();

describe('publication', () => {
  it('an empty CRL of each shard of each issuer stands at the start, and openssl verifies it', async () => {
    shared.world = await crlWorld(shared.pool);
    shared.world.ca.addIssuer('services', 3, shared.world.keymgr.keys);
    await shared.world.start();
    const paths = ['issuing/0', 'services/0', 'services/1', 'services/2'];
    for (const path of paths) {
      const crl = await eventually(() => shared.world.crl(`/crl/${path}.crl`));
      expect([crl.list, crl.crlNumber]).toEqual([[], BigInt(shared.world.clock.now() / 1000)]);
      expect(crl.distributionPointUrl).toBe(`http://status.test/crl/${path}.crl`);
      expect(crl.nextUpdate - crl.thisUpdate).toBe(24 * HOUR);
      const issuer = shared.world.ca.issuers.find((one) => path.startsWith(one.issuerId))!;
      expect(await opensslCrl(crl.der, issuer.certificate)).toContain('verify OK');
    }
    await shared.world.health('crl.freshness');
  });

  it('openssl reads revoked entries; reason 0 and hold are left out, never written (covers: T59)', async () => {
    await shared.started();
    const serials = [0, 1, 6, 9].map((reasonCode) => shared.world.ca.revoke({ reasonCode }));
    const { crl } = await shared.world.listed(serials[3]!);
    const reasons = serials.map(
      (serial) => crl.list.find((one) => one.serialNumber === serial)?.reasonCode,
    );
    expect(reasons).toEqual([0, 1, 0, 9]);
    const text = await opensslCrl(crl.der, shared.world.ca.issuers[0]!.certificate);
    expect(text).toContain('verify OK');
    expect(text.match(/CRL Reason Code/g)).toHaveLength(2);
    expect(text).toMatch(
      /Issuing Distribution Point: critical[\s\S]*URI:http:\/\/status.test\/crl\/issuing\/0.crl/,
    );
    expect(text).not.toContain('Hold');
  });

  it('a revocation is on the CRL at once after a quiet time, a burst on one more CRL (covers: T55)', async () => {
    await shared.started({ coalesce: '10s' });
    shared.world.clock.advance(60_000);
    const first = shared.world.ca.revoke();
    const quiet = await eventually(async () => {
      const crl = await shared.world.crl();
      expect(crl.list.map((one) => one.serialNumber)).toEqual([first]);
      return crl;
    });
    const burst = Array.from({ length: 20 }, () => shared.world.ca.revoke());
    await eventually(async () =>
      expect((await shared.pool.query('SELECT 1 FROM revoked')).rows).toHaveLength(21),
    );
    expect((await shared.world.crl()).crlNumber).toBe(quiet.crlNumber);
    const start = shared.world.clock.now();
    const { crl } = await shared.world.listed(burst[19]!);
    expect(shared.world.clock.now() - start).toBeLessThanOrEqual(60_000);
    expect(crl.list).toHaveLength(21);
    expect(await shared.world.ordinal(crl)).toBe((await shared.world.ordinal(quiet)) + 1);
  });

  it('is published and served, though the old ones cannot be deleted', async () => {
    await shared.started();
    installFaultHook((step) => {
      if (step === 'crl.pruned') throw new Error('no disk');
    });
    await shared.world.listed(shared.world.ca.revoke());
    await eventually(async () =>
      expect(await shared.world.metrics.exposition()).toMatch(
        /gigvault_crl_generation_duration_seconds_count 2/,
      ),
    );
  });

  it('a later reason replaces the first; an abandoned certificate counts as revoked', async () => {
    await shared.started();
    const serialNumber = shared.world.ca.revoke({ reasonCode: 4 });
    await shared.world.listed(serialNumber);
    shared.world.ca.revoke({ serialNumber, reasonCode: 1 });
    const data = {
      issuerId: 'issuing',
      serialNumber: 'abcd',
      crlShard: 0,
      notAfter: shared.world.clock.now() + DAY,
    };
    shared.world.ca.events.append('certificate.abandoned', 'abcd', data);
    const { crl } = await shared.world.listed('abcd');
    expect(crl.list.map((one) => [one.serialNumber, one.reasonCode]).sort()).toEqual(
      [
        [serialNumber, 1],
        ['abcd', 4],
      ].sort(),
    );
  });

  it('makes a CRL each interval, and keeps an entry for one scheduled CRL past the end of its certificate', async () => {
    await shared.started();
    const serialNumber = shared.world.ca.revoke({
      notAfter: shared.world.clock.now() + 90 * 60_000,
    });
    await shared.world.listed(serialNumber);
    const onScheduled: boolean[] = [];
    for (let i = 0; i < 4; i++) {
      const before = (await shared.world.crl()).crlNumber;
      shared.world.clock.advance(HOUR);
      const crl = await eventually(async () => {
        // The round before may have been under way, and have gone to sleep since.
        shared.world.clock.advance(1_000);
        const next = await shared.world.crl();
        expect(next.crlNumber).toBeGreaterThan(before);
        return next;
      });
      onScheduled.push(crl.list.length === 1);
    }
    expect(onScheduled).toEqual([true, true, false, false]);
  });
});

describe('the clock', () => {
  const fromTheFuture = () =>
    shared.pool.query('SELECT 1 FROM crl WHERE this_update > $1', [shared.world.clock.now()]);

  it('is set forward: no CRL is made until it is back, and then nothing is late — covers: T15', async () => {
    await shared.started();
    const before = await shared.world.crl();
    shared.world.clock.step(2 * HOUR);
    await expect(shared.world.health('crl.clock')).rejects.toThrow('The clock was set');
    // `ca` does not believe the clock either.
    const serialNumber = shared.world.ca.revoke({ revokedAt: before.thisUpdate });
    await eventually(async () => {
      shared.world.clock.advance(1_000);
      expect((await shared.pool.query('SELECT 1 FROM revoked')).rows).toHaveLength(1);
    });
    // Rounds of the generator: it is due, by the schedule and by the revocation.
    const rounds = shared.world.clock.now() + 60_000;
    await eventually(async () => {
      shared.world.clock.advance(1_000);
      expect((await shared.world.crl()).crlNumber).toBe(before.crlNumber);
      expect(shared.world.clock.now()).toBeGreaterThan(rounds);
    });
    shared.world.clock.step(-2 * HOUR);
    const back = shared.world.clock.now();
    await shared.world.listed(serialNumber);
    expect(shared.world.clock.now() - back).toBeLessThan(MINUTE);
    expect((await fromTheFuture()).rows).toEqual([]);
    await shared.world.health('crl.clock');
  });

  it('is set back: all are due, and none is tried; that is said once — covers: T15', async () => {
    await shared.started();
    const said: [object, string][] = [];
    const line = (fields: object, msg: string) => said.push([fields, msg]);
    const log: Log = { ...silentLog, warn: line, error: line, info: line };
    const { clock, keymgr } = shared.world;
    const deps = {
      store: pgCrlStore(shared.pool),
      directory: pgShardDirectory(shared.pool),
      signer: rpcCrlSigner(keymgr.signing),
      served: createServedCrls(crlFiles('/nonexistent')),
      schedule: { interval: HOUR, coalesce: 10_000 },
      validity: 24 * HOUR,
      turn: async () => undefined,
      largest: 500_000,
      clock,
      clockGuard: createClockGuard(clock),
      log,
      held: failureLog(log, 'no CRL is made', 'CRLs are made again'),
      timer: () => () => undefined,
    };
    const { crlNumber } = await shared.world.crl();
    clock.step(-2 * HOUR);
    for (let round = 0; round < 3; round++) expect(await keepCrls(deps)).toBe(5_000);
    expect(said).toEqual([[{ error: expect.anything() }, 'no CRL is made']]);
    clock.step(2 * HOUR);
    await keepCrls(deps);
    expect(said.map(([, msg]) => msg)).toEqual(['no CRL is made', 'CRLs are made again']);
    expect((await shared.world.crl()).crlNumber).toBe(crlNumber);
  });

  it('was wrong at a start: the CRL from the future is replaced once it is right, and lists all that it must — covers: T15', async () => {
    await shared.started();
    const serialNumber = shared.world.ca.revoke({
      notAfter: shared.world.clock.now() + 90 * MINUTE,
    });
    await shared.world.listed(serialNumber);
    for (const change of [2 * HOUR, -2 * HOUR]) {
      const { thisUpdate } = await shared.world.crl();
      await shared.world.stop();
      shared.world.clock.step(change);
      shared.world = shared.world.another();
      await shared.world.start();
      await eventually(async () =>
        expect((await shared.world.crl()).thisUpdate).not.toBe(thisUpdate),
      );
    }
    const { crl } = await shared.world.listed(serialNumber);
    expect(crl.thisUpdate).toBeLessThanOrEqual(shared.world.clock.now());
  });
});

describe('a revocation', () => {
  it('that waits for its CRL for longer than a minute is an alarm, until it is on one (covers: L6)', async () => {
    await shared.started();
    await shared.world.health('crl.revocations');
    shared.world.keymgr.mode = 'down';
    const serialNumber = shared.world.ca.revoke();
    await eventually(async () => {
      shared.world.clock.advance(30_000);
      await expect(shared.world.health('crl.revocations')).rejects.toThrow(
        /revocations wait for CRL 0 of issuing since \d+ s/,
      );
    });
    shared.world.keymgr.mode = 'well';
    await shared.world.listed(serialNumber);
    await shared.world.health('crl.revocations');
  });
});

describe('serving', () => {
  it('alarms at half of the life and never serves an expired CRL (covers: T58)', async () => {
    await shared.started();
    shared.world.keymgr.mode = 'down';
    shared.world.clock.advance(11 * HOUR);
    await shared.world.health('crl.freshness');
    shared.world.clock.advance(2 * HOUR);
    await expect(shared.world.health('crl.freshness')).rejects.toThrow('not renewed');
    await shared.world.ready();
    expect((await shared.world.fetch('/crl/issuing/0.crl')).status).toBe(200);
    shared.world.clock.advance(11 * HOUR);
    const reply = await shared.world.fetch('/crl/issuing/0.crl');
    expect([reply.status, reply.headers?.['retry-after']]).toEqual([503, '60']);
    shared.world.keymgr.mode = 'well';
    await eventually(async () => {
      shared.world.clock.advance(60_000);
      await shared.world.health('crl.freshness');
    });
    expect((await shared.world.fetch('/crl/issuing/0.crl')).status).toBe(200);
  });

  it('HTTP: type, caching, 304, HEAD, 404, and no way out of memory (covers: T67)', async () => {
    await shared.started();
    const server = await listen();
    const url = `http://127.0.0.1:${server.port}/crl`;
    try {
      const reply = await fetch(`${url}/issuing/0.crl`);
      const der = Buffer.from(await reply.arrayBuffer());
      expect(reply.headers.get('content-type')).toBe('application/pkix-crl');
      expect(reply.headers.get('cache-control')).toBe(
        'max-age=300, public, no-transform, must-revalidate',
      );
      const etag = reply.headers.get('etag')!;
      const modified = reply.headers.get('last-modified')!;
      const again = (headers: Record<string, string>) => fetch(`${url}/issuing/0.crl`, { headers });
      expect((await again({ 'if-none-match': etag })).status).toBe(304);
      expect((await again({ 'if-modified-since': modified })).status).toBe(304);
      expect(
        (await again({ 'if-none-match': '"other"', 'if-modified-since': modified })).status,
      ).toBe(200);
      const head = await fetch(`${url}/issuing/0.crl`, { method: 'HEAD' });
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(der.length)]);
      const statusOf = async (path: string) => (await fetch(`${url}/${path}`)).status;
      expect(await statusOf('issuing/1.crl')).toBe(404);
      expect(await statusOf('nobody/0.crl')).toBe(404);
      for (const path of [
        '..%2f..%2fetc/0.crl',
        'issuing/..%2f0.crl',
        'issuing/0.crl%00',
        'issuing/00.crl',
        'issuing/passwd',
        '%2e%2e%5c/0.crl',
      ]) {
        expect([path, await statusOf(path)]).toEqual([path, 400]);
      }
    } finally {
      await server.stop();
    }
  });

  it('a restart without ca and keymgr serves what was published', async () => {
    await shared.started();
    const { crl } = await shared.world.listed(shared.world.ca.revoke());
    await shared.world.stop();
    shared.world.ca.down = true;
    shared.world.ca.events.down = true;
    shared.world.keymgr.mode = 'down';
    shared.world = shared.world.another();
    await shared.world.start();
    expect((await eventually(() => shared.world.crl())).der).toEqual(crl.der);
    // Set in a round of its own, which does not wait for who fetches, nor they for it.
    await eventually(async () =>
      expect(await shared.world.metrics.exposition()).toMatch(
        /gigvault_crl_entries\{ca="issuing"\} 1/,
      ),
    );
  });

  it('events arrive again after a restart of the consumer and change nothing', async () => {
    await shared.started();
    await shared.world.listed(shared.world.ca.revoke());
    await shared.world.stop();
    await shared.pool.query('DELETE FROM event_cursor');
    shared.world = shared.world.another();
    await shared.world.start();
    const { crl } = await shared.world.listed(shared.world.ca.revoke());
    expect(crl.list).toHaveLength(2);
  });

  it('stands still before an event that it cannot read, says so, and leaves none out — covers: T17', async () => {
    await shared.started();
    await shared.world.listed(shared.world.ca.revoke());
    const cursor = async () => (await shared.pool.query('SELECT position FROM event_cursor')).rows;
    const before = await cursor();
    shared.world.ca.events.append('certificate.revoked', 'abcd', { issuerId: 'issuing' });
    const behind = shared.world.ca.revoke();
    await eventually(() =>
      expect(shared.world.health('crl.consumer')).rejects.toThrow(
        'the event log of ca is not followed',
      ),
    );
    const { list } = await shared.world.crl();
    expect(list.map(({ serialNumber }) => serialNumber)).not.toContain(behind);
    expect(await cursor()).toEqual(before);
  });

  it('serves the root CRL from its file, and a newer one without a restart', async () => {
    await shared.started();
    const directory = await mkdtemp(join(tmpdir(), 'gigvault-crl-'));
    const rootCrlFile = join(directory, 'root.crl');
    const first = (await shared.world.crl()).der;
    await writeFile(rootCrlFile, first);
    const look = readRootCrlFile(rootCrlFile);
    await expect(look(() => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk');
    const taken: number[] = [];
    for (let i = 0; i < 2; i++) await look(async ({ octets }) => void taken.push(octets));
    expect(taken).toEqual([first.length]);
    await shared.world.stop();
    shared.world = shared.world.another({ rootCrlFile });
    await shared.world.start();
    try {
      expect((await eventually(() => shared.world.crl('/crl/root/0.crl'))).der).toEqual(first);
      const { crl } = await shared.world.listed(shared.world.ca.revoke());
      await writeFile(rootCrlFile, toPem('X509 CRL', crl.der));
      await eventually(async () => {
        shared.world.clock.advance(5_000);
        expect((await shared.world.crl('/crl/root/0.crl')).crlNumber).toBe(crl.crlNumber);
      });
      shared.world.clock.advance(22 * HOUR);
      // People renew it, offline: an alarm, and no reason to take everything else out of service.
      await eventually(() =>
        expect(shared.world.health('crl.freshness')).rejects.toThrow(
          'CRL 0 of root is not renewed',
        ),
      );
      await shared.world.ready();
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

function listen() {
  return startHttpServer({
    listeners: ['status'],
    host: '127.0.0.1',
    port: 0,
    baseUrl: 'http://127.0.0.1',
    behindProxy: false,
    routes: shared.world.routes.map((route) => ({
      service: 'crl',
      route,
      door: NO_DOOR,
    })),
    log: silentLog,
    metrics: shared.world.metrics,
  });
}
