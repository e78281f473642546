import { parse } from 'yaml';
import type { Finding, Tree } from './tree.ts';

/** Headings of each README, beyond Job, Invariants and Never, which every service has. */
const HEADINGS: Readonly<Record<string, readonly string[]>> = {
  cli: ['Commands', 'Output', 'Files'],
  gigvault: ['Zone', 'Processes', 'Files'],
  rootca: ['Zone', 'Commands', 'Files'],
};
const ONLINE = ['Zone', 'RPCs', 'Tables'];
const EVERY = ['Job', 'Invariants', 'Never'];

/** Services without their standard parts. */
export function serviceParts(tree: Tree): Finding[] {
  return servicesOf(tree).flatMap((name) => {
    const special = HEADINGS[name];
    const parts = ['README.md', 'package.json', 'src/main.ts'];
    const online = [`src/${name}.module.ts`, `src/${name}.config.ts`];
    const missing = [...parts, ...(special ? [] : online)]
      .map((part) => `services/${name}/${part}`)
      .filter((path) => !tree.has(path))
      .map((path) => ({ path, line: 1, message: 'is missing' }));
    return [...missing, ...missingHeadings(tree, name, special ?? ONLINE)];
  });
}

function missingHeadings(tree: Tree, name: string, more: readonly string[]): Finding[] {
  const path = `services/${name}/README.md`;
  if (!tree.has(path)) return [];
  const there = new Set([...tree.text(path).matchAll(/^## (.*)$/gm)].map((match) => match[1]));
  return [...EVERY, ...more]
    .filter((heading) => !there.has(heading))
    .filter((heading) => heading !== 'Tables' || tree.has(`services/${name}/migrations`))
    .map((heading) => ({ path, line: 1, message: `has no heading "${heading}"` }));
}

function servicesOf(tree: Tree): string[] {
  const names = tree.files.map((file) => /^services\/([^/]+)\//.exec(file.path)?.[1]);
  return [...new Set(names.filter((name): name is string => name !== undefined))];
}

/** RPCs that peers.yaml does not list, and rows of it that no contract has. */
export function peerRows(tree: Tree): Finding[] {
  const path = 'deploy/peers.yaml';
  const document = parse(tree.text(path)) as Record<string, Record<string, readonly string[]>>;
  const rows = Object.entries(document).flatMap(([callee, rpcs]) =>
    Object.entries(rpcs).map(([rpc, callers]) => ({ callee, rpc, callers })),
  );
  const contracts = rpcsOf(tree);
  const lineOf = (rpc: string) =>
    tree
      .text(path)
      .split('\n')
      .findIndex((line) => line.includes(rpc)) + 1;
  return [
    ...rows
      .filter((row) => !contracts.has(row.rpc))
      .map((row) => ({ path, line: lineOf(row.rpc), message: `no contract has ${row.rpc}` })),
    ...rows
      .filter((row) => !isEventLog(row.rpc) && row.rpc.split('.')[1] !== row.callee)
      .map((row) => ({
        path,
        line: lineOf(row.rpc),
        message: `${row.callee} does not serve ${row.rpc}`,
      })),
    ...[...contracts]
      .filter(([rpc]) => !isForNoPeer(rpc) && !rows.some((row) => row.rpc === rpc))
      .map(([rpc, where]) => ({
        ...where,
        message: `peers.yaml does not say who may call ${rpc}`,
      })),
  ];
}

/**
 * What carries other calls is open to every peer; each call that it carries is asked about (docs/adr/0014). And what people call is for whoever has
 * the permission.
 */
function isForNoPeer(rpc: string): boolean {
  return /^(gigvault\.rpc|keychain)\./.test(rpc);
}

function isEventLog(rpc: string): boolean {
  return rpc.startsWith('gigvault.event.');
}

function rpcsOf(tree: Tree): Map<string, { path: string; line: number }> {
  const rpcs = new Map<string, { path: string; line: number }>();
  for (const { path, text } of tree.files.filter((file) => file.path.endsWith('.proto'))) {
    const packageName = /^package ([\w.]+);/m.exec(text)?.[1];
    let service = '';
    for (const [i, line] of text.split('\n').entries()) {
      service = /^service (\w+)/.exec(line)?.[1] ?? service;
      const rpc = /^\s*rpc (\w+)/.exec(line)?.[1];
      if (rpc) rpcs.set(`${packageName}.${service}/${rpc}`, { path, line: i + 1 });
    }
  }
  return rpcs;
}

/** Packages that differ where all are the same. */
export function packageManifests(tree: Tree): Finding[] {
  const version = (JSON.parse(tree.text('package.json')) as { version: string }).version;
  return tree.files
    .filter((file) => /^(libs\/[^/]+|services\/[^/]+|proto)\/package\.json$/.test(file.path))
    .flatMap(({ path, text }) => {
      const manifest = JSON.parse(text) as Record<string, unknown>;
      const folder = path.split('/').at(-2);
      const wanted: Record<string, unknown> = {
        name: `@gigvault/${folder}`,
        version,
        private: true,
        type: 'module',
        license: 'MIT',
      };
      const wrong = Object.keys(wanted).filter((key) => manifest[key] !== wanted[key]);
      if (typeof manifest['description'] !== 'string') wrong.push('description');
      return wrong.map((key) => ({
        path,
        line: 1,
        message: `"${key}" is ${JSON.stringify(manifest[key])}`,
      }));
    });
}

const EXACT = /^(npm:[\w@/-]+@)?\d+\.\d+\.\d+([-+][\w.-]+)?$/;

/** Dependencies that are not of one version: the lock file pins them, and nobody has chosen them. */
export function looseVersions(tree: Tree): Finding[] {
  const manifests = tree.files.filter((file) => /(^|\/)package\.json$/.test(file.path));
  const workspace = 'pnpm-workspace.yaml';
  const { catalog } = parse(tree.text(workspace)) as { catalog: Record<string, string> };
  return [
    ...manifests.flatMap(({ path, text }) => loose(path, dependenciesOf(text))),
    ...loose(workspace, Object.entries(catalog)),
  ];
}

function dependenciesOf(manifest: string): [string, string][] {
  const parsed = JSON.parse(manifest) as Record<string, Record<string, string> | undefined>;
  return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((section) =>
    Object.entries(parsed[section] ?? {}),
  );
}

function loose(path: string, dependencies: readonly [string, string][]): Finding[] {
  return dependencies
    .filter(([, version]) => !/^(workspace:\*|catalog:)$/.test(version) && !EXACT.test(version))
    .map(([name, version]) => ({ path, line: 1, message: `${name} ${version}: name one version` }));
}
