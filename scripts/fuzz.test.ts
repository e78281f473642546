import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@gigvault/testkit/eventually';
import { lives } from '@gigvault/testkit/lives';
import { describe, expect, it } from '@jest/globals';
import { readTree } from './tidy/tree.ts';

/** Milliseconds: a run begins with a bundle, and machines are slow. */
const PATIENCE = 60_000;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const targets = readTree(root)
  .files.map(({ path }) => path)
  .filter((path) => /^(libs|services)\/[^/]+\/fuzz\/[^/]+\.ts$/.test(path));

/** The corpora that `npm run fuzz` has collected: each input once more, and each cut short. */
describe('fuzz targets stand their corpus', () => {
  it.each(targets.map((path) => [basename(path, '.ts'), path]))('%s', async (_name, path) => {
    const { fuzz } = (await import(join(root, path))) as { fuzz: (data: Buffer) => void };
    const lines = readFileSync(join(root, path.replace(/ts$/, 'corpus')), 'utf8')
      .trimEnd()
      .split('\n');
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      const input = Buffer.from(line, 'base64');
      for (const data of [input, input.subarray(1), input.subarray(0, -1)])
        expect(() => fuzz(data)).not.toThrow();
    }
  });

  it('there are targets', () => expect(targets.length).toBeGreaterThanOrEqual(5));
});

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
  'a run of the fuzzer ends with its npm: %s',
  async (signal) => {
    const npm = spawn('npm', ['run', 'fuzz', '--', 'der', '600'], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const group = -npm.pid!;
    try {
      let told = '';
      await new Promise<void>((begun, failed) => {
        npm.stderr.on('data', (part) => {
          told += part;
          if (told.includes('INITED')) begun();
        });
        npm.once('exit', () => failed(new Error(told)));
      });
      // npm does not pass that one on; a terminal that goes tells all of them.
      if (signal === 'SIGHUP') process.kill(group, signal);
      else npm.kill(signal);
      await eventually(() => expect(lives(group)).toBe(false), PATIENCE);
    } finally {
      npm.stderr.destroy();
      if (lives(group)) process.kill(group, 'SIGKILL');
    }
  },
  2 * PATIENCE,
);
