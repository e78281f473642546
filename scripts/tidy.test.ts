import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import {
  consoleCalls,
  environmentReads,
  focusedTests,
  hiddenWiring,
  inheritanceAndDefaults,
  ownClocks,
  rawQueries,
} from './tidy/code-rules.ts';
import { staleContracts } from './tidy/contract-rules.ts';
import { stepsWithoutHook } from './tidy/durable-rules.ts';
import { deadLinks, durableSteps, namedFiles } from './tidy/markdown-rules.ts';
import { poorNames } from './tidy/name-rules.ts';
import { outgoingConnections } from './tidy/network-rules.ts';
import { untestedCodecs } from './tidy/property-rules.ts';
import { looseVersions, packageManifests, peerRows, serviceParts } from './tidy/service-rules.ts';
import { largeBinaries, longFiles, longFunctions } from './tidy/size-rules.ts';
import { type Finding, readTree, type Tree } from './tidy/tree.ts';
import {
  machinePaths,
  malformedCitations,
  registryHosts,
  undocumentedExports,
  undocumentedRpcs,
  unfinished,
} from './tidy/word-rules.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The house rules that no other tool checks: one row a rule. */
const RULES: Readonly<Record<string, (tree: Tree) => readonly Finding[]>> = {
  'files stay short': longFiles,
  'functions stay short': longFunctions,
  'binaries stay out': largeBinaries,
  'names name an idea': poorNames,
  'wiring is explicit': hiddenWiring,
  'the environment is read in one place': environmentReads,
  'nobody writes to the console': consoleCalls,
  'the time comes from a Clock': ownClocks,
  'nothing is inherited, nothing is a default export': inheritanceAndDefaults,
  'failures of queries are mapped': rawQueries,
  'connections go where nobody leads them astray (covers: T73)': outgoingConnections,
  'every test runs': focusedTests,
  'every encoder and decoder of libs/x509 has a property test': untestedCodecs,
  'exported names have doc comments': undocumentedExports,
  'RPCs have comments': undocumentedRpcs,
  'RFCs are cited in one form': malformedCitations,
  'nothing is left for later': unfinished,
  'no path of one machine': machinePaths,
  'no registry by name': registryHosts,
  'links lead somewhere': deadLinks,
  'files named in documents exist': namedFiles,
  'durable steps named in the flows exist': durableSteps,
  'what is durable is a durable step': stepsWithoutHook,
  'every service has its standard parts': serviceParts,
  'every RPC has its row in peers.yaml, and every row its RPC': peerRows,
  'packages are alike': packageManifests,
  'dependencies have one version': looseVersions,
};

describe('tidy', () => {
  const tree = readTree(root);
  for (const [name, rule] of Object.entries(RULES)) {
    it(name, () => expect(lines(rule(tree))).toEqual([]));
  }

  it('generated contracts are those of the generator', () => {
    expect(lines(staleContracts(root, tree))).toEqual([]);
  }, 60_000);
});

function lines(findings: readonly Finding[]): string[] {
  return findings.map(({ path, line, message }) => `${path}:${line}  ${message}`);
}
