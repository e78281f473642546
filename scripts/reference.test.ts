import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { errorsPage } from './reference/errors-page.ts';
import { faultsPage } from './reference/faults-page.ts';
import { permissionsPage } from './reference/permissions-page.ts';
import { restPage } from './reference/rest-page.ts';
import { rpcsPage } from './reference/rpcs-page.ts';
import { type Page, toMarkdown } from './reference/table.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const protos = globSync('proto/{gigvault,keychain}/**/*.proto', { cwd: root }).sort();

const tests = globSync('{libs,services,scripts}/**/*.{test,contract}.ts', {
  cwd: root,
  exclude: ['**/node_modules/**'],
}).sort();

/** The pages of docs/reference that are made from the code. `WRITE_REFERENCE=1 npm test -- scripts/reference` writes them. */
const PAGES: Readonly<Record<string, () => Page>> = {
  errors: errorsPage,
  faults: () => faultsPage(tests.map((path) => ({ path, text: read(path) }))),
  permissions: permissionsPage,
  rest: restPage,
  rpcs: () => rpcsPage(protos.map(read), read('deploy/peers.yaml')),
};

it.each(Object.entries(PAGES))('docs/reference/%s.md says what the code does', (name, page) => {
  const path = `docs/reference/${name}.md`;
  if (process.env['WRITE_REFERENCE'] !== undefined)
    writeFileSync(join(root, path), toMarkdown(page()));
  expect(read(path)).toBe(toMarkdown(page()));
});
