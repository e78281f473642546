import { existsSync, globSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';

/**
 * Puts every process that the tests of a file start under a clock that can be set: Debian's libfaketime, which looks into a file once a
 * second, and leaves alone the clock that timers go by.
 *
 * @returns sets the time of day of those that run and of those to come, from the real one: `+2h`, `-100d`, `+0`
 */
export function useSetClock(): (change: string) => void {
  const folder = mkdtempSync(join(tmpdir(), 'gv-clock-'));
  const offset = join(folder, 'offset');
  const environment = {
    LD_PRELOAD: globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0],
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const setClock = (change: string) => {
    writeFileSync(`${offset}.new`, `${change}\n`);
    renameSync(`${offset}.new`, offset);
  };

  beforeAll(() => {
    expect(environment.LD_PRELOAD).toBeDefined();
    removeLeftovers();
    setClock('+0');
    Object.assign(process.env, environment);
  });
  afterAll(() => {
    for (const name of Object.keys(environment)) delete process.env[name];
    rmSync(folder, { recursive: true });
    removeLeftovers();
  });
  return setClock;
}

/** What the library left in shared memory of processes that were killed. Their numbers come again: another user's process could not open it. */
function removeLeftovers(): void {
  for (const path of globSync('/dev/shm/{faketime_shm,sem.faketime_sem}_*'))
    if (!existsSync(`/proc/${path.split('_').at(-1)}`)) rmSync(path, { force: true });
}
