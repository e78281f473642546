import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Operator } from '../src/ports/operator.ts';

/** People who copy their shares onto paper, as files `share.<index>` of a folder, read them from there, and answer yes to all else. */
export function paperOperator(folder: string): Operator {
  return {
    say: () => undefined,
    ask: async () => 'yes',
    async showSecret({ id, text }) {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, id), text.slice(text.indexOf('\n\n')));
    },
    async askSecret({ id }) {
      const path = join(folder, id.replace(/^held-/, ''));
      return existsSync(path) ? readFileSync(path, 'utf8') : '';
    },
  };
}
