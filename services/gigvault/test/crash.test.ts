import { cpus, loadavg } from 'node:os';
import { MODES } from '@gigvault/testkit/pki-process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CrashWorld, openCrashWorld } from './crash/crash-world.ts';
import { planKills, titleOf } from './crash/durable-steps.ts';
import { START_TIMEOUT } from './use-pki.ts';

/** In each mode: every durable step once, before it in one mode and after it in the other, and a few at any moment. */
const KILLS = 40;
const SEED = 1;
/** Kills after which everything is checked, and not only what the load sees. */
const CHECK_EVERY = 12;
/** Milliseconds: two steps that may have to wait for the load to come by, and the recovery. */
const KILL_TIMEOUT = 240_000;

/**
 * Five seconds are what a machine that does nothing else is held to (`npm run test:crash`). Here other tests run beside, so it is
 * three times that; and when more processes want the cores than there are, a start takes as much longer.
 */
function servingWithin(): number {
  return 5_000 * Math.max(3, (loadavg()[0] as number) / cpus().length);
}

describe.each(MODES)('SIGKILL under load, %s — covers: T3, T4, T5, T55', (mode) => {
  let world: CrashWorld;
  let kills = 0;

  beforeAll(async () => {
    world = await openCrashWorld({ mode, seed: SEED, servingWithin });
  }, START_TIMEOUT);

  afterAll(() => world?.dispose(), START_TIMEOUT);

  it.each(planKills(mode, KILLS, SEED).map((kill) => [titleOf(kill), kill] as const))(
    '%s: nothing that was acknowledged is lost, and it serves again',
    async (_title, kill) => {
      const { findings } = await world.kill(kill);
      expect(findings).toEqual([]);
      if (++kills % CHECK_EVERY === 0) expect((await world.check(false)).findings).toEqual([]);
    },
    KILL_TIMEOUT,
  );

  it(
    'afterwards everything that it claims is true',
    async () => {
      const report = await world.check(true);
      expect(report.findings).toEqual([]);
      expect(report.certificates).toBeGreaterThan(kills);
      expect(report.abandoned).toBeGreaterThan(0);
      expect(report.revoked).toBeGreaterThan(report.abandoned);
    },
    KILL_TIMEOUT,
  );
});
