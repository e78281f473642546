import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Log } from '@gigvault/telemetry/log';
import type { Policy } from '../evaluation/policy-document.ts';
import type { PolicySource } from '../ports/policy-source.ts';
import { DEFAULT_POLICIES } from './default-policies.ts';
import { parsePolicies } from './yaml-policies.ts';

/** Policies from files, swapped whole by reload(). */
export interface FilePolicySource extends PolicySource {
  /** Reads the files again. When anything is wrong nothing changes, and it throws INVALID_ARGUMENT. */
  reload(): void;
}

/**
 * Policies from `files`, in order: YAML files, or directories of `*.yaml` and `*.yml` read by name. None: DEFAULT_POLICIES.
 * Reads them before it returns, so that no request is ever judged without policies. Errors: as parsePolicies.
 */
export function filePolicySource(files: readonly string[], log: Log): FilePolicySource {
  let policies: readonly Policy[] = [];

  function reload(): void {
    policies = readPolicies(files);
    log.info(
      { policies: policies.map(({ document, hash }) => `${document.name}@${hash.slice(0, 12)}`) },
      'policies in force',
    );
  }

  reload();
  return { current: () => policies, reload };
}

function readPolicies(files: readonly string[]): readonly Policy[] {
  if (files.length === 0) return parsePolicies(DEFAULT_POLICIES, 'default.yaml');
  const policies = files
    .flatMap(expand)
    .flatMap((path) => parsePolicies(readFileSync(path, 'utf8'), basename(path)));
  const names = policies.map(({ document }) => document.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new GigvaultError('INVALID_ARGUMENT', `Two policies are named "${twice}".`);
  if (policies.length === 0)
    throw new GigvaultError('INVALID_ARGUMENT', `No policy in ${files.join(', ')}.`);
  return policies;
}

function expand(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => /\.ya?ml$/.test(name));
    return names.sort().map((name) => join(path, name));
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', `policy.files: "${path}" cannot be read.`, {
      cause,
    });
  }
}
