import type { Problem } from '@gigvault/errors/gigvault-error';
import { z } from 'zod';
import { leafKeys, schemaAt } from './schema-keys.ts';

/**
 * Sections whose names the operator chooses, from flags and variables: no name of theirs can stand in a flag's name. So they are numbered:
 * `keymgr.backends.0.name` names one, and `keymgr.backends.0.type` is a key of it (requirement K147).
 */
interface NumberedKey {
  /** The key of the record, as `keymgr.backends`. */
  readonly record: string;
  readonly number: string;
  /** `name`, or a key of the section. */
  readonly field: string;
}

/** What one flag or variable says. */
export interface Said {
  readonly value: unknown;
  /** As `--https-port` or `GIGVAULT_HTTPS_PORT`. */
  readonly origin: string;
}

const NAME = 'name';
const NUMBER = /^\d{1,3}$/;

/** The keys of one numbered section of each record there is: `keymgr.backends.0.name`, `keymgr.backends.0.type` … */
export function numberedKeys(schema: z.ZodObject, number: string): string[] {
  return recordsOf(schema).flatMap(({ record, fields }) =>
    [NAME, ...fields].map((field) => `${record}.${number}.${field}`),
  );
}

/** Every key that one flag may give a value: all but records of sections, whose keys are numbered. */
export function singleKeys(schema: z.ZodObject): string[] {
  const records = recordsOf(schema).map(({ record }) => record);
  return leafKeys(schema).filter((key) => !records.includes(key));
}

/** The schema of a numbered key's value. */
export function numberedSchema(schema: z.ZodObject, key: string): z.ZodType | undefined {
  const found = parse(schema, key);
  if (found === undefined) return undefined;
  return found.field === NAME ? z.string() : schemaAt(schema, key.split('.'));
}

/**
 * Numbered keys as keys by name: of `keymgr.backends.0.name` = `hsm` and `keymgr.backends.0.type`, `keymgr.backends.hsm.type`. Those of a section
 * without a name, or whose name cannot be one or is another's, are problems.
 */
export function byName(
  schema: z.ZodObject,
  said: ReadonlyMap<string, Said>,
): { readonly named: ReadonlyMap<string, Said>; readonly problems: readonly Problem[] } {
  const named = new Map<string, Said>();
  const problems: Problem[] = [];
  const numbers = new Map<string, string>();
  for (const [key, one] of said) {
    const { record, number, field } = parse(schema, key) as NumberedKey;
    const name = said.get(`${record}.${number}.${NAME}`);
    if (name === undefined)
      problems.push({
        pointer: one.origin,
        message: `belongs to a section without a name: ${record}.${number}.${NAME} is missing`,
      });
    else if (!isNameOf(schemaAt(schema, record.split('.')), name.value)) {
      if (field === NAME)
        problems.push({
          pointer: one.origin,
          message: `"${name.value}" cannot be the name of a section of ${record}`,
        });
    } else if (field === NAME) {
      const section = `${record}.${name.value}`;
      const first = numbers.get(section);
      if (first !== undefined)
        problems.push({
          pointer: one.origin,
          message: `"${name.value}" is the name of number ${first} already`,
        });
      numbers.set(section, first ?? number);
    } else named.set(`${record}.${name.value}.${field}`, one);
  }
  return { named, problems };
}

function isNameOf(record: z.ZodType | undefined, name: unknown): boolean {
  // A dot would be another key, and such a name another object than the configuration's.
  if (typeof name !== 'string' || /\.|^__proto__$|^$/.test(name)) return false;
  return record instanceof z.ZodRecord && (record.keyType as z.ZodType).safeParse(name).success;
}

function parse(schema: z.ZodObject, key: string): NumberedKey | undefined {
  for (const { record, fields } of recordsOf(schema)) {
    if (!key.startsWith(`${record}.`)) continue;
    const [number = '', ...rest] = key.slice(record.length + 1).split('.');
    const field = rest.join('.');
    if (NUMBER.test(number) && [NAME, ...fields].includes(field)) return { record, number, field };
  }
  return undefined;
}

function recordsOf(schema: z.ZodObject) {
  return leafKeys(schema).flatMap((record) => {
    const at = schemaAt(schema, record.split('.'));
    if (!(at instanceof z.ZodRecord)) return [];
    const sections =
      at.valueType instanceof z.ZodUnion ? (at.valueType.options as z.ZodType[]) : [at.valueType];
    const fields = sections.flatMap((section) => leafKeys(section as z.ZodType));
    return fields.includes('') ? [] : [{ record, fields: [...new Set(fields)] }];
  });
}
