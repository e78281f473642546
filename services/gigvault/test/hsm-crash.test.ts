import { MODES } from '@gigvault/testkit/pki-process';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type CrashWorld, openCrashWorld } from './crash/crash-world.ts';
import { type Kill, titleOf } from './crash/durable-steps.ts';
import { DRIVER } from './crash/processes.ts';
import { START_TIMEOUT } from './use-pki.ts';

const token = await softHsmToken({ label: 'pki' });
// The PKI's processes take it from here.
Object.assign(process.env, token.environment);
afterAll(() => token.remove());

/** Around what the token does; crash.test.ts has all other steps. */
const KILLS: readonly Kill[] = [
  { at: 'keymgr.signature:before' },
  { at: 'keymgr.signature:after' },
  { at: 'keymgr.key:before', cause: 'responder revoked' },
];
const SEED = 4;
/** Milliseconds: other tests run beside, and a start opens the token as well. */
const SERVING_WITHIN = 30_000;
const KILL_TIMEOUT = 240_000;

describe.each(MODES)('SIGKILL under load, keys in a token, %s — covers: T3, T4, T12', (mode) => {
  let world: CrashWorld;

  beforeAll(async () => {
    const flags = ['--hsm', token.uri];
    world = await openCrashWorld({ mode, seed: SEED, flags, servingWithin: () => SERVING_WITHIN });
  }, START_TIMEOUT);

  afterAll(() => world?.dispose(), START_TIMEOUT);

  const victims = [DRIVER, mode === 'split' ? 'keymgr' : 'gigvault'];
  const kills = [...KILLS, ...victims.map((victim) => ({ victim, delay: 400 }))];
  it.each(kills.map((kill) => [titleOf(kill), kill] as const))(
    '%s: nothing that was acknowledged is lost, and it serves again',
    async (_title, kill) => {
      expect((await world.kill(kill)).findings).toEqual([]);
    },
    KILL_TIMEOUT,
  );

  it(
    'afterwards everything that it claims is true',
    async () => {
      const { findings, certificates } = await world.check(true);
      expect(findings).toEqual([]);
      expect(certificates).toBeGreaterThan(kills.length);
    },
    KILL_TIMEOUT,
  );
});
