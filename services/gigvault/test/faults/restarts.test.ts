import { execFileSync } from 'node:child_process';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { eventually } from '@gigvault/testkit/eventually';
import { processesOf } from '@gigvault/testkit/leftovers';
import { MODES } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT, usePki } from '../use-pki.ts';
import { type AcmeLoad, startAcmeLoad } from './acme-load.ts';
import { LONG, RECOVERY } from './limits.ts';

const CLIENTS = 6;
/** Milliseconds for a stop in which whatever is in flight ends. */
const DRAIN = 30_000;

const PROCESSES = [...SERVICE_NAMES, 'edge'];
/** Each alone and each pair of neighbours in either direction comes up in the first two. */
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  'a random order, seed 1': shuffled(PROCESSES, 1),
  ...(LONG
    ? {
        'the order of their list': PROCESSES,
        'the reverse order': [...PROCESSES].reverse(),
        'a random order, seed 2': shuffled(PROCESSES, 2),
        'a random order, seed 3': shuffled(PROCESSES, 3),
      }
    : {}),
};

describe.each(MODES)('restarts under load, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL);
  let load: AcmeLoad;

  beforeAll(async () => {
    load = await startAcmeLoad(shared.pki, CLIENTS);
  }, START_TIMEOUT);

  afterAll(() => load?.stop(), START_TIMEOUT);

  it(
    'SIGTERM: what is in flight ends within 30 s, and the next start goes on — covers: T19',
    async () => {
      const begin = systemClock.now();
      expect(await shared.pki.stop()).toBe(0);
      expect(systemClock.now() - begin).toBeLessThan(DRAIN);
      await shared.pki.start();
      await load.next();
    },
    START_TIMEOUT,
  );

  it(
    'SIGKILL of everything: the next start goes on — covers: T20',
    async () => {
      await shared.pki.kill();
      await shared.pki.start();
      await load.next();
    },
    START_TIMEOUT,
  );

  if (mode === 'split') {
    it.each(Object.entries(ORDERS))(
      'split only: each process is told to stop, one after the other in %s — covers: T19',
      async (_what, order) => {
        for (const name of order) await restart(name, 'SIGTERM');
        await load.next();
      },
      10 * START_TIMEOUT,
    );

    it(
      'split only: all services are killed at the same time, and come back by themselves — covers: T20',
      async () => {
        for (const pid of processesOf(shared.pki.dataDir, 'services')) process.kill(pid, 'SIGKILL');
        await load.next();
      },
      START_TIMEOUT,
    );
  }

  it(
    'through all of it: 503 with Retry-After or no answer, nothing acknowledged lost — covers: T19',
    async () => {
      await load.stop();
      expect(load.surprises).toEqual([]);
      expect(await load.lost()).toEqual([]);
    },
    START_TIMEOUT,
  );

  /** Resolves once another process serves in its place. */
  async function restart(name: string, signal: NodeJS.Signals): Promise<void> {
    const before = await eventually(() => pidOf(name));
    process.kill(before, signal);
    await eventually(() => expect(pidOf(name)).not.toBe(before), DRAIN + RECOVERY);
    await eventually(async () => {
      expect((await shared.http.fetch(`${shared.pki.publicUrl}/ready`)).status).toBe(200);
    }, DRAIN + RECOVERY);
  }

  function pidOf(name: string): number {
    const file = `--config ${shared.pki.dataDir}/services/${name}.yaml`;
    const line = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' })
      .split('\n')
      .find((each) => each.includes(file));
    if (line === undefined) throw new Error(`${name} does not run`);
    return Number.parseInt(line, 10);
  }
});

/** Fisher and Yates, with a generator that gives the same numbers each time (mulberry32). */
function shuffled(items: readonly string[], seed: number): string[] {
  let state = seed;
  const random = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as string, result[i] as string];
  }
  return result;
}
