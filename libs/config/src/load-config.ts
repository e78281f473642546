import { readFileSync } from 'node:fs';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { issueWords, problemsOf, unknownKey } from './config-problems.ts';
import { byName, numberedSchema, type Said } from './numbered-entries.ts';
import { leafKeys, schemaAt } from './schema-keys.ts';
import {
  type Environment,
  environmentValue,
  fromText,
  numberedKeysIn,
  unknownVariables,
} from './variables.ts';

/** Where a configuration comes from: flags over environment over file over the schema's defaults (docs/operations/configuration.md). */
export interface ConfigSources {
  /** By dotted key, as `{ 'https.port': '8443' }`. `true` for a flag without a value. */
  readonly flags: Readonly<Record<string, string | boolean>>;
  /** Variables `GIGVAULT_<KEY>`, as GIGVAULT_HTTPS_PORT for `https.port`. */
  readonly environment: Environment;
  /** For variables that were said under another name, that name: problems are told under it. */
  readonly origins?: Readonly<Record<string, string>>;
  /** A YAML file, or undefined for none. */
  readonly file?: string;
}

/** A configuration with how it came to be. */
export interface ReadConfig<C> {
  readonly config: C;
  /** The keys as they were written: what another process is given to read again. */
  readonly written: Readonly<Record<string, unknown>>;
  /** Variables that look like GigVault's and mean nothing. */
  readonly unknownVariables: readonly Problem[];
}

type Tree = { [key: string]: unknown };

/**
 * The frozen configuration. Errors: INVALID_ARGUMENT with one problem for each key that is unknown (with the nearest
 * known one), missing or of the wrong shape.
 */
export function loadConfig<S extends z.ZodObject>(schema: S, sources: ConfigSources): z.infer<S> {
  return readConfig(schema, sources).config;
}

/** As loadConfig, with what else there is to know. */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  sources: ConfigSources,
): ReadConfig<z.infer<S>> {
  const { tree, origins, problems } = gather(schema, sources);
  const context = {
    schema,
    written: tree,
    originOf: (key: string) => originOf(key, origins) ?? sources.file,
  };
  const result = schema.safeParse(tree, { error: issueWords });
  if (!result.success)
    problems.push(...result.error.issues.flatMap((issue) => problemsOf(issue, context)));
  if (problems.length > 0 || !result.success)
    throw new GigvaultError('INVALID_ARGUMENT', 'The configuration is wrong.', { problems });
  return {
    config: freeze(result.data) as z.infer<S>,
    written: tree,
    unknownVariables: unknownVariables(schema, sources.environment, tree),
  };
}

/** What file, environment and flags say, the later over the earlier, with the source of each key but the file's. */
function gather(schema: z.ZodObject, { flags, environment, origins = {}, file }: ConfigSources) {
  const keys = leafKeys(schema);
  const tree: Tree = file === undefined ? {} : readYaml(file);
  const problems: Problem[] = [];
  const said = new Map<string, Said>();
  const numbered = new Map<string, Said>();
  const schemaOf = (key: string) =>
    keys.includes(key) ? schemaAt(schema, key.split('.')) : numberedSchema(schema, key);
  const placeOf = (key: string) => (keys.includes(key) ? said : numbered);
  for (const key of [...keys, ...numberedKeysIn(schema, environment)]) {
    const leaf = schemaOf(key);
    const found = leaf && environmentValue(key, leaf, environment);
    if (found)
      placeOf(key).set(key, { value: found.value, origin: origins[found.name] ?? found.name });
  }
  for (const [key, value] of Object.entries(flags)) {
    const origin = `--${flagName(key)}`;
    const leaf = schemaOf(key);
    if (leaf === undefined) problems.push(unknownKey(key, keys, { originOf: () => undefined }));
    else if (value === true && !leaf.safeParse(true).success)
      problems.push({ pointer: key, message: `needs a value (${origin})` });
    else
      placeOf(key).set(key, {
        value: typeof value === 'string' ? fromText(value, leaf) : value,
        origin,
      });
  }
  const named = byName(schema, numbered);
  const all = [...said, ...named.named];
  for (const [key, { value }] of all) put(tree, key, value);
  const originOfKey = new Map(all.map(([key, { origin }]) => [key, origin]));
  return { tree, origins: originOfKey, problems: [...problems, ...named.problems] };
}

/** `https.port` → `https-port`, `ra.http01Port` → `ra-http01-port`: the flag of a key. */
export function flagName(key: string): string {
  return key
    .replaceAll('.', '-')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase();
}

/** Of the key, or of the list or section that it stands in. */
function originOf(key: string, origins: ReadonlyMap<string, string>): string | undefined {
  const path = key.split('.');
  for (let length = path.length; length > 0; length--) {
    const origin = origins.get(path.slice(0, length).join('.'));
    if (origin !== undefined) return origin;
  }
  return undefined;
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
