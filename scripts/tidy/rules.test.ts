import { describe, expect, it } from '@jest/globals';
import {
  consoleCalls,
  environmentReads,
  focusedTests,
  hiddenWiring,
  inheritanceAndDefaults,
  ownClocks,
  rawQueries,
} from './code-rules.ts';
import { stepsWithoutHook } from './durable-rules.ts';
import { anchorsOf, deadLinks, durableSteps, namedFiles } from './markdown-rules.ts';
import { poorNames } from './name-rules.ts';
import { outgoingConnections } from './network-rules.ts';
import { untestedCodecs } from './property-rules.ts';
import { looseVersions, packageManifests, peerRows, serviceParts } from './service-rules.ts';
import { largeBinaries, longFiles, longFunctions } from './size-rules.ts';
import { type Finding, type Tree, treeFile, treeOf } from './tree.ts';
import {
  machinePaths,
  malformedCitations,
  registryHosts,
  undocumentedExports,
  undocumentedRpcs,
  unfinished,
} from './word-rules.ts';

/** An offender for each rule, planted in a tree of a few files: what the rule must find, and nothing else. */
describe('tidy rules', () => {
  it.each<[string, (tree: Tree) => readonly Finding[], Record<string, string>, string[]]>([
    ['long files', longFiles, { 'libs/a/src/a.ts': '\n'.repeat(401) }, ['libs/a/src/a.ts:401']],
    ['long test files', longFiles, { 'libs/a/src/a.test.ts': '\n'.repeat(600) }, []],
    [
      'long functions',
      longFunctions,
      { 'libs/a/src/a.ts': `function f() {${'\n'.repeat(70)}}` },
      ['libs/a/src/a.ts:1'],
    ],
    ['lists of tests', longFunctions, { 'libs/a/src/a.test.ts': long('describe') }, []],
    [
      'long tests',
      longFunctions,
      { 'libs/a/src/a.test.ts': long('it') },
      ['libs/a/src/a.test.ts:1'],
    ],
    ['vague names', poorNames, { 'libs/utils/src/a.ts': '' }, ['libs/utils/src/a.ts:1']],
    ['vague files', poorNames, { 'libs/a/src/helpers.ts': '' }, ['libs/a/src/helpers.ts:1']],
    ['barrels', poorNames, { 'libs/a/src/b/index.ts': '' }, ['libs/a/src/b/index.ts:1']],
    ['file names', poorNames, { 'libs/a/src/aB.ts': '' }, ['libs/a/src/aB.ts:1']],
    [
      'Nest magic',
      hiddenWiring,
      { 'services/a/src/a.ts': '@Global()\nclass A {}\nforwardRef(() => A);\n// forwardRef' },
      ['services/a/src/a.ts:1', 'services/a/src/a.ts:3'],
    ],
    [
      'decorator metadata',
      hiddenWiring,
      { 'tsconfig.json': '{ "emitDecoratorMetadata": true }' },
      ['tsconfig.json:1'],
    ],
    [
      'environment',
      environmentReads,
      { 'libs/a/src/a.ts': 'process.env.A;', 'libs/a/src/a.test.ts': 'process.env.A;' },
      ['libs/a/src/a.ts:1'],
    ],
    ['console', consoleCalls, { 'scripts/a.ts': "\nconsole.log('');" }, ['scripts/a.ts:2']],
    [
      'raw queries',
      rawQueries,
      {
        'services/a/src/adapters/pg-a.ts': "pool.query('');\nquery(pool, '');\nclient.query('');",
        'services/a/test/a.ts': "pool.query('');",
      },
      ['services/a/src/adapters/pg-a.ts:1'],
    ],
    [
      'focused tests',
      focusedTests,
      { 'libs/a/src/a.test.ts': "it.only('', f);\nxit('', f);\nit.todo('');\nit('', f);" },
      ['libs/a/src/a.test.ts:1', 'libs/a/src/a.test.ts:2', 'libs/a/src/a.test.ts:3'],
    ],
    [
      'doc comments',
      undocumentedExports,
      { 'libs/a/src/a.ts': '/** A. */\nexport const a = 1;\nexport type B = 1;\nconst c = 1;' },
      ['libs/a/src/a.ts:3'],
    ],
    [
      'comments of RPCs',
      undocumentedRpcs,
      { 'proto/a.proto': '// A.\nservice A {\n  rpc B(C) returns (D);\n}' },
      ['proto/a.proto:3'],
    ],
    [
      'citations',
      malformedCitations,
      { 'a.md': 'RFC 5280 §4.2\nRFC5280 §4\nRFC 5280 section 4\nRFC 5280 § 4\nRFC 6960/9654, 4' },
      ['a.md:2', 'a.md:3', 'a.md:4'],
    ],
    ['work left', unfinished, { 'a.sh': '# TODO: more\ntodo' }, ['a.sh:1']],
    [
      'paths of one machine',
      machinePaths,
      { 'a.sh': 'cd /work/main\n$data/root/root.crt\n/crl/root/0.crl\n/home/ada/x' },
      ['a.sh:1', 'a.sh:4'],
    ],
    ['registries', registryHosts, { 'a.md': 'https://registry.npmjs.org/x' }, ['a.md:1']],
    [
      'links',
      deadLinks,
      {
        'docs/a.md': '# One two\n[a](b.md)\n[a](#one-two)\n[a](#two)\n`[a](b.md)`\n[a](../x/y.ts)',
        'x/y.ts': '',
      },
      ['docs/a.md:2', 'docs/a.md:4'],
    ],
    [
      'files in backticks',
      namedFiles,
      { 'docs/a.md': '`ca/src/b.ts`\n`ca/src/c.ts`\n`ca/*/c.ts`', 'services/ca/src/b.ts': '' },
      ['docs/a.md:2'],
    ],
    [
      'durable steps',
      durableSteps,
      {
        'docs/flows/a.md': '| `ca.intent` |\n| `ca.gone` |',
        'services/ca/src/a.ts': "durableStep('ca.intent', run)",
      },
      ['docs/flows/a.md:2'],
    ],
    [
      'writes without a durable step',
      stepsWithoutHook,
      {
        'services/ca/src/adapters/a.ts': [
          "const WRITE = 'UPDATE intent SET x = 1';",
          'export function store(pool) {',
          '  return {',
          "    hooked: () => durableStep('ca.a', () => query(pool, WRITE)),",
          '    hookedByItsCaller: () => query(pool, WRITE),',
          "    reads: () => query(pool, 'SELECT 1'),",
          '    forgotten: () => query(pool, WRITE),',
          '    told: () => transaction(pool, (client) => eventLog.append(client, [])),',
          '  };',
          '}',
          'export const inside = (client) => ({ write: () => query(client, WRITE) });',
        ].join('\n'),
        'services/ca/src/flow.ts': "durableStep('ca.b', () => deps.store.hookedByItsCaller())",
        'services/auth/src/adapters/a.ts':
          "export function store(pool) { return { write: () => query(pool, 'DELETE FROM a') }; }",
      },
      ['services/ca/src/adapters/a.ts:7', 'services/ca/src/adapters/a.ts:8'],
    ],
    [
      'parts of a service',
      serviceParts,
      {
        'services/a/README.md': '## Job\n## Zone\n## RPCs\n## Invariants\n',
        'services/a/package.json': '',
        'services/a/src/a.module.ts': '',
        'services/a/src/a.config.ts': '',
      },
      ['services/a/src/main.ts:1', 'services/a/README.md:1'],
    ],
    [
      'peers',
      peerRows,
      {
        'deploy/peers.yaml':
          'ca:\n  gigvault.ca.v1.A/B: [ra]\n  gigvault.ra.v1.A/B: []\n  gigvault.ca.v1.A/X: []',
        'proto/ca.proto':
          'package gigvault.ca.v1;\nservice A {\n  rpc B(C) returns (D);\n  rpc C(C) returns (D);\n}',
        'proto/ra.proto': 'package gigvault.ra.v1;\nservice A {\n  rpc B(C) returns (D);\n}',
      },
      ['deploy/peers.yaml:4', 'deploy/peers.yaml:3', 'proto/ca.proto:4'],
    ],
    [
      'packages',
      packageManifests,
      {
        'package.json': '{"version":"1.0.0"}',
        'libs/a/package.json': JSON.stringify({
          ...{ name: '@gigvault/a', version: '1.0.1', private: true, type: 'module' },
          ...{ license: 'MIT', description: '' },
        }),
      },
      ['libs/a/package.json:1'],
    ],
    [
      'versions',
      looseVersions,
      {
        'package.json': '{"devDependencies":{"a":"1.0.0","b":"workspace:*","c":"npm:d@1.0.0"}}',
        'libs/a/package.json': '{"dependencies":{"a":"^1.0.0","b":"catalog:"}}',
        'pnpm-workspace.yaml': "catalog:\n  b: '*'\n  c: 1.0.0-beta.1\n",
      },
      ['libs/a/package.json:1', 'pnpm-workspace.yaml:1'],
    ],
  ])('%s', (_name, rule, files, expected) => {
    expect(rule(treeWith(files)).map(({ path, line }) => `${path}:${line}`)).toEqual(expected);
  });

  it('large binaries', () => {
    const tree = treeOf([treeFile('a.png', Buffer.alloc(257 * 1024))]);
    expect(largeBinaries(tree)).toHaveLength(1);
  });

  it('inheritance, and exceptions that nothing needs', () => {
    const findings = inheritanceAndDefaults(
      treeWith({
        'libs/a/src/a.ts': 'class A extends B {}\nclass C extends Error {}\nexport default 1;',
        'libs/rpc/src/mtls-identity.ts': 'class A extends B {}',
      }),
    );
    expect(findings.map(({ path, line }) => `${path}:${line}`)).toEqual([
      'libs/a/src/a.ts:1',
      'libs/a/src/a.ts:3',
      'libs/rpc/src/handler-table.ts:1',
      'libs/rpc/src/tls-credentials.ts:1',
    ]);
  });

  it('own clocks, and exceptions that nothing needs', () => {
    const findings = ownClocks(
      treeWith({
        'libs/a/src/a.ts': 'Date.now();\nnew Date();\nnew Date(1);\nsetTimeout(f);',
        'services/a/src/adapters/a.ts': 'Date.now();',
        'libs/time/src/clock.ts': 'Date.now();',
      }),
    );
    const places = findings.map(({ path, line }) => `${path}:${line}`);
    expect(places.slice(0, 3)).toEqual([
      'libs/a/src/a.ts:1',
      'libs/a/src/a.ts:2',
      'libs/a/src/a.ts:4',
    ]);
    expect(places).toContain('libs/rpc/src/grpc-client.ts:1');
    expect(places).not.toContain('libs/time/src/clock.ts:1');
  });

  it('connections, and exceptions that nothing needs', () => {
    const findings = outgoingConnections(
      treeWith({
        'services/a/src/a.ts':
          "import { get } from 'node:https';\nimport { isIP } from 'node:net';",
        'services/a/src/b.ts': "import type { Socket } from 'node:net';\nawait fetch('x');",
        'services/a/src/c.ts':
          "const x = await import('node:http');\nimport http from 'node:http';",
        'services/a/src/d.ts': 'function fetch() {}\nfetch();',
        'services/ra/src/adapters/node-http-fetcher.ts': "import http from 'node:http';",
      }),
    );
    const places = findings.map(({ path, line }) => `${path}:${line}`);
    expect(places.slice(0, 4)).toEqual([
      'services/a/src/a.ts:1',
      'services/a/src/b.ts:2',
      'services/a/src/c.ts:1',
      'services/a/src/c.ts:2',
    ]);
    expect(places).toContain('services/cli/src/server/https-client.ts:1');
    expect(places).not.toContain('services/ra/src/adapters/node-http-fetcher.ts:1');
  });

  it('encoders and decoders without a property test', () => {
    const findings = untestedCodecs(
      treeWith({
        'libs/x509/src/a.ts':
          'export function readA() {}\nexport function encodeA() {}\nfunction readB() {}',
        'libs/x509/src/a.property.test.ts': 'readA();',
        'libs/x509/src/a.test.ts': 'encodeA();',
      }),
    );
    expect(findings.map(({ path, line }) => `${path}:${line}`)).toEqual(['libs/x509/src/a.ts:2']);
  });

  it('anchors are those of a Markdown viewer', () => {
    const text = '# Job: `up`, and § 2\n## Same\n## Same\n```\n# not one\n```';
    expect([...anchorsOf(text)]).toEqual(['job-up-and--2', 'same', 'same-1']);
  });
});

function treeWith(files: Record<string, string>): Tree {
  return treeOf(Object.entries(files).map(([path, text]) => treeFile(path, Buffer.from(text))));
}

function long(callee: string): string {
  return `${callee}('a', () => {${'\n'.repeat(120)}});`;
}
