import { readFileSync } from 'node:fs';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { nearest } from './nearest.ts';

/** Where a configuration comes from: flags over environment over file over the schema's defaults. */
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
  const unknown = unknownKeys(schema, tree, '');
  for (const key of keys) {
    const value = sources.environment[environmentName(key)];
    if (value !== undefined) put(tree, key, scalar(value));
  }
  for (const [key, value] of Object.entries(sources.flags)) {
    if (keys.includes(key)) put(tree, key, typeof value === 'string' ? scalar(value) : value);
    else unknown.push(unknownKey(key, keys));
  }
  const result = schema.safeParse(tree);
  const problems = [
    ...unknown,
    ...(result.success
      ? []
      : result.error.issues
          .filter((issue) => issue.code !== 'unrecognized_keys')
          .map((i): Problem => ({ pointer: i.path.join('.'), message: i.message }))),
  ];
  if (problems.length > 0 || !result.success) {
    throw new GigvaultError(
      'INVALID_ARGUMENT',
      `The configuration is wrong: ${problems.map((p) => `${p.pointer}: ${p.message}`).join('; ')}`,
      { problems },
    );
  }
  return { config: Object.freeze(result.data) as z.infer<S>, written: tree };
}

/** `https.port` → `GIGVAULT_HTTPS_PORT`; `ra.http01Port` → `GIGVAULT_RA_HTTP01_PORT`. */
export function environmentName(key: string): string {
  return `GIGVAULT_${key
    .replaceAll('.', '_')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;
}

/** Every key that holds a value, dotted. */
export function leafKeys(schema: z.ZodType, prefix = ''): string[] {
  const object = asObject(schema);
  if (object === undefined) return [prefix];
  return Object.entries(object.shape).flatMap(([key, child]) =>
    leafKeys(child as z.ZodType, prefix === '' ? key : `${prefix}.${key}`),
  );
}

function asObject(schema: z.ZodType): z.ZodObject | undefined {
  if (schema instanceof z.ZodObject) return schema;
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional
  ) {
    return asObject(schema.unwrap() as z.ZodType);
  }
  return undefined;
}

function readYaml(file: string): Tree {
  const document = parseDocument(readFileSync(file, 'utf8'), { uniqueKeys: true });
  const [error] = document.errors;
  if (error) throw new GigvaultError('INVALID_ARGUMENT', `${file}: ${error.message}`);
  const tree: unknown = document.toJS({ maxAliasCount: 0 }) ?? {};
  if (typeof tree !== 'object' || Array.isArray(tree))
    throw new GigvaultError('INVALID_ARGUMENT', `${file}: expected keys and values.`);
  return tree as Tree;
}

function unknownKeys(schema: z.ZodType, tree: unknown, prefix: string): Problem[] {
  const object = asObject(schema);
  if (object === undefined || typeof tree !== 'object' || tree === null) return [];
  return Object.entries(tree).flatMap(([key, value]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const child = object.shape[key] as z.ZodType | undefined;
    return child === undefined
      ? [unknownKey(path, leafKeys(object, prefix))]
      : unknownKeys(child, value, path);
  });
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

/** A text from a flag or variable as YAML would read it: numbers and booleans are what they look like. */
function scalar(text: string): unknown {
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  if (text === 'true' || text === 'false') return text === 'true';
  return text;
}
