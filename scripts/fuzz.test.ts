import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { readTree } from './tidy/tree.ts';

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
