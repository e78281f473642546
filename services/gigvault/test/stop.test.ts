import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { processesOf } from '@gigvault/testkit/leftovers';
import { lives } from '@gigvault/testkit/lives';
import { MODES, type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnUp } from './up-command.ts';
import { START_TIMEOUT } from './use-pki.ts';

describe.each(MODES)('the end of up, %s', (mode) => {
  let pki: PkiProcess;
  let fresh: string;

  beforeAll(async () => {
    pki = await startPki(mode);
    await pki.stop();
    fresh = join(pki.home, 'fresh');
  }, START_TIMEOUT);

  afterAll(() => pki?.dispose(), START_TIMEOUT);

  it(
    'Ctrl-C while the database is made is no error, and nothing is left',
    async () => {
      const child = spawnUp(pki, '--data-dir', fresh);
      const said = textOf(child);
      await eventually(
        () => expect(existsSync(join(fresh, 'pg', 'cluster.new'))).toBe(true),
        20_000,
        1,
      );
      // To the whole group, as a terminal does.
      process.kill(-(child.pid as number), 'SIGINT');
      expect(await once(child, 'exit')).toEqual([130, null]);
      expect(said()).toMatch(/stopped; the data stays/);
      expect(said()).not.toMatch(/error/);
      expect(processesOf(fresh, 'services and database')).toEqual([]);
      expect(existsSync(join(fresh, 'run.json'))).toBe(false);
      await pki.start('--data-dir', fresh);
      await pki.stop();
    },
    START_TIMEOUT,
  );

  it(
    'a second Ctrl-C ends everything at once',
    async () => {
      const child = await started();
      // What keeps the first one waiting.
      const busy = mode === 'split' ? processesOf(pki.dataDir, 'services')[0] : undefined;
      if (busy !== undefined) process.kill(busy, 'SIGSTOP');
      const exited = once(child, 'exit');
      const first = systemClock.now();
      process.kill(-(child.pid as number), 'SIGINT');
      // Until the second is not the echo of the first any more. In one process it may have ended by then.
      await eventually(() => {
        if (child.exitCode === null) expect(systemClock.now() - first).toBeGreaterThan(1_100);
      });
      if (child.exitCode === null) process.kill(-(child.pid as number), 'SIGINT');
      const [code] = await exited;
      expect([0, 130]).toContain(code);
      if (mode === 'split') expect(code).toBe(130);
      await eventually(() =>
        expect(processesOf(pki.dataDir, 'services and database').filter(lives)).toEqual([]),
      );
      expect(existsSync(join(pki.dataDir, 'run.json'))).toBe(false);
    },
    START_TIMEOUT,
  );

  it(
    'nobody reading what it says is no reason to end',
    async () => {
      const child = await started();
      child.stdout?.destroy();
      child.stderr?.destroy();
      await eventually(async () =>
        expect((await fetch(`${pki.statusUrl}/ca/root.crt`)).status).toBe(200),
      );
      // Now it has something to say.
      child.kill('SIGTERM');
      expect(await once(child, 'exit')).toEqual([0, null]);
      expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);

      const early = spawnUp(pki, '--data-dir', fresh);
      early.stdout?.destroy();
      early.stderr?.destroy();
      await eventually(
        async () => expect((await fetch(`${pki.statusUrl}/ca/root.crt`)).status).toBe(200),
        60_000,
      );
      early.kill('SIGTERM');
      expect(await once(early, 'exit')).toEqual([0, null]);
    },
    START_TIMEOUT,
  );

  async function started(): Promise<ChildProcess> {
    const child = spawnUp(pki, '--data-dir', pki.dataDir);
    const said = textOf(child);
    await eventually(() => expect(said()).toMatch(/DEV PROFILE/), 60_000);
    return child;
  }
});

function textOf(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (part: Buffer) => {
      text += part.toString();
    });
  return () => text;
}
