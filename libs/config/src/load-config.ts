import { readFileSync } from 'node:fs';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { nearest } from './nearest.ts';
import { keysAt, leafKeys, schemaAt } from './schema-keys.ts';
import { fileSecret, secretReference } from './secret.ts';

/** Where a configuration comes from: flags over environment over file over the schema's defaults (docs/operations/configuration.md). */
export interface ConfigSources {
  /** By dotted key, as `{ 'https.port': '8443' }`. */
  readonly flags: Readonly<Record<string, string | boolean>>;
  /** Variables `GIGVAULT_<KEY>`, as GIGVAULT_HTTPS_PORT for `https.port`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A YAML file, or undefined for none. */
  readonly file?: string;
}

type Tree = { [key: string]: unknown };

/**
 * The frozen configuration. Errors: INVALID_ARGUMENT with one problem for each key that is unknown (with the nearest
 * known one), missing or of the wrong shape.
 */
export function loadConfig<S extends z.ZodObject>(schema: S, sources: ConfigSources): z.infer<S> {
  return readConfig(schema, sources).config;
}

/** As loadConfig, with the keys as they were written: what another process is given to read again. */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  sources: ConfigSources,
): { readonly config: z.infer<S>; readonly written: Readonly<Record<string, unknown>> } {
  const keys = leafKeys(schema);
  const tree: Tree = sources.file === undefined ? {} : readYaml(sources.file);
  for (const key of keys) {
    const value = environmentValue(key, schemaAt(schema, key.split('.')), sources.environment);
    if (value !== undefined) put(tree, key, value);
  }
  const problems: Problem[] = [];
  for (const [key, value] of Object.entries(sources.flags)) {
    const leaf = keys.includes(key) ? schemaAt(schema, key.split('.')) : undefined;
    if (leaf) put(tree, key, typeof value === 'string' ? fromText(value, leaf) : value);
    else problems.push(unknownKey(key, keys));
  }
  const result = schema.safeParse(tree);
  if (!result.success) problems.push(...result.error.issues.flatMap((i) => problemsOf(i, schema)));
  if (problems.length > 0 || !result.success) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The configuration is wrong: ${problems.map((p) => `${p.pointer}: ${p.message}`).join('; ')}`,
      { problems },
    );
  }
  return { config: freeze(result.data) as z.infer<S>, written: tree };
}

/** `https.port` → `GIGVAULT_HTTPS_PORT`; `ra.http01Port` → `GIGVAULT_RA_HTTP01_PORT`. */
export function environmentName(key: string): string {
  return `GIGVAULT_${key
    .replaceAll('.', '_')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;
}

/** A value of the environment: `NAME`, `NAME_0`, `NAME_1` … for a list, `NAME_FILE` for a secret. */
function environmentValue(
  key: string,
  leaf: z.ZodType | undefined,
  environment: ConfigSources['environment'],
): unknown {
  const name = environmentName(key);
  const value = environment[name];
  if (leaf === undefined) return undefined;
  if (value !== undefined) return fromText(value, leaf);
  const file = environment[`${name}_FILE`];
  if (file !== undefined && leaf === secretReference) return fileSecret(file);
  const items: string[] = [];
  for (let i = 0; environment[`${name}_${i}`] !== undefined; i++)
    items.push(environment[`${name}_${i}`] as string);
  return items.length > 0 ? items : undefined;
}

/** A text as its key wants it: as it is where that is right, else as the number, boolean or list that it looks like. */
function fromText(text: string, leaf: z.ZodType): unknown {
  const readings: unknown[] = [text];
  if (/^-?\d{1,15}(\.\d+)?$/.test(text)) readings.push(Number(text));
  if (text === 'true' || text === 'false') readings.push(text === 'true');
  readings.push(text === '' ? [] : text.split(',').map((item) => item.trim()));
  return readings.find((reading) => leaf.safeParse(reading).success) ?? text;
}

function readYaml(file: string): Tree {
  try {
    const document = parseDocument(readFileSync(file, 'utf8'), { uniqueKeys: true });
    const [error] = document.errors;
    if (error) throw error;
    // No aliases: a few of them, one inside the other, fill the memory (fault T70).
    const tree: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
    if (typeof tree !== 'object' || Array.isArray(tree))
      throw new Error('expected keys and values');
    return tree as Tree;
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0];
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The configuration file ${file} cannot be read: ${reason}`,
      {
        cause: error,
      },
    );
  }
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.ZodType): Problem[] {
  const path = issue.path.map(String);
  if (issue.code !== 'unrecognized_keys')
    return [{ pointer: path.join('.'), message: issue.message }];
  const known = keysAt(schema, path);
  return issue.keys.map((key) => unknownKey([...path, key].join('.'), known));
}

function unknownKey(key: string, known: readonly string[]): Problem {
  const suggestion = nearest(key, known);
  return {
    pointer: key,
    message: `unknown key${suggestion === undefined ? '' : ` (did you mean "${suggestion}"?)`}`,
  };
}

function put(tree: Tree, key: string, value: unknown): void {
  const path = key.split('.');
  const last = path.pop() as string;
  let node = tree;
  for (const step of path) {
    if (typeof node[step] !== 'object' || node[step] === null) node[step] = {};
    node = node[step] as Tree;
  }
  node[last] = value;
}

/** Freezes keys and lists all the way down; what a schema made of a value (a network, say) stays as it is. */
function freeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return value;
  for (const child of Object.values(value)) freeze(child);
  return Object.freeze(value);
}
