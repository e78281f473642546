import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pausePostgres } from '@gigvault/testkit/pause-postgres';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT, usePki } from '../use-pki.ts';
import type { AcmeLoad } from './acme-load.ts';
import { IN_TIME, modesFor, RECOVERY } from './limits.ts';
import type { StatusProbe } from './status-probe.ts';
import { startUnderLoad } from './under-load.ts';

const CLIENTS = 6;
/** Milliseconds. */
const PAUSE = 10_000;

// In one process nobody starts a service again that ends with its database.
describe.each(modesFor('one process'))('the embedded database under load, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let load: AcmeLoad;
  let probe: StatusProbe;

  beforeAll(async () => {
    ({ load, probe } = await startUnderLoad(shared, CLIENTS));
  }, START_TIMEOUT);

  it('is killed, and started again: issuance goes on within 10 s — covers: T7, T20', async () => {
    process.kill(postmaster(), 'SIGKILL');
    expect(await load.next()).toBeLessThan(RECOVERY);
  });

  it('is stopped, and started again: issuance goes on within 10 s — covers: T7, T20', async () => {
    process.kill(postmaster(), 'SIGINT');
    expect(await load.next()).toBeLessThan(RECOVERY);
  });

  it(
    'is paused for 10 s: issuance goes on within 10 s — covers: T7, T20',
    async () => {
      const goOn = pausePostgres(postmaster());
      const paused = load.count();
      await systemClock.sleep(PAUSE);
      expect(load.count() - paused).toBeLessThanOrEqual(CLIENTS);
      goOn();
      expect(await load.next()).toBeLessThan(RECOVERY);
    },
    START_TIMEOUT,
  );

  it(
    'through all of it: 503 with Retry-After, OCSP and CRLs in time, nothing acknowledged lost — covers: T6, T7',
    async () => {
      await load.stop();
      expect(load.turnedAway()).toBeGreaterThan(0);
      expect(load.surprises).toEqual([]);
      expect(await load.lost()).toEqual([]);
      const { wrong, times } = await probe.stop();
      expect(wrong).toEqual([]);
      expect(times.at(-1)).toBeLessThan(IN_TIME);
    },
    START_TIMEOUT,
  );

  afterAll(async () => {
    await load?.stop();
    await probe?.stop();
  }, START_TIMEOUT);

  function postmaster(): number {
    const file = join(shared.pki.dataDir, 'pg', 'cluster', 'postmaster.pid');
    return Number.parseInt(readFileSync(file, 'utf8'), 10);
  }
});
