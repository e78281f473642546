import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const REGISTRATION =
  /\.(counter|gauge|histogram)\(\s*'([a-z0-9_]+)',\s*'[^']*',\s*(?:\[([^\]]*)\]|(\w+))/g;
const ROW = /^\| `gigvault_([a-z0-9_]+)(?:\{([a-z_,]+)\})?` \| (\w+) \|/gm;

/** `name kind` → labels; undefined where the code gives them a name. */
type Registered = Map<string, string | undefined>;

function inCode(): Registered {
  const found: Registered = new Map();
  for (const file of sources()) {
    for (const [, kind, name, labels, variable] of readFileSync(file, 'utf8').matchAll(
      REGISTRATION,
    )) {
      const written = [...(labels ?? '').matchAll(/'(\w+)'/g)].map(([, label]) => label).join();
      found.set(`${name} ${kind}`, variable === undefined ? written : undefined);
    }
  }
  return found;
}

function sources(): string[] {
  const folders = ['libs', 'services'].flatMap((group) =>
    readdirSync(join(ROOT, group)).map((name) => join(ROOT, group, name, 'src')),
  );
  return folders.filter(existsSync).flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
      .map((file) => join(folder, file)),
  );
}

function inDocument(): Registered {
  const text = readFileSync(join(ROOT, 'docs/operations/metrics.md'), 'utf8');
  return new Map(
    [...text.matchAll(ROW)].map(([, name, labels, kind]) => [`${name} ${kind}`, labels ?? '']),
  );
}

it('docs/operations/metrics.md and the code name the same metrics with the same labels', () => {
  const code = inCode();
  const document = inDocument();
  expect([...document.keys()]).toEqual([...code.keys()].sort());
  for (const [metric, labels] of code)
    if (labels !== undefined) expect([metric, document.get(metric)]).toEqual([metric, labels]);
});

it('metrics are named as the rules say', () => {
  for (const metric of inCode().keys()) {
    const [name, kind] = metric.split(' ') as [string, string];
    if (kind === 'counter') expect(name).toMatch(/_total$/);
    if (kind === 'histogram') expect(name).toMatch(/_seconds$/);
    // `keys_total` is the name that the requirements give (K214).
    if (kind === 'gauge' && name !== 'keys_total') expect(name).not.toMatch(/_total$|days|left/);
  }
});
