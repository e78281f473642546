import { z } from 'zod';

/** Every key that holds a value, dotted. */
export function leafKeys(schema: z.ZodType, prefix = ''): string[] {
  const object = asObject(schema);
  if (object === undefined) return [prefix];
  return Object.entries(object.shape).flatMap(([key, child]) =>
    leafKeys(child as z.ZodType, prefix === '' ? key : `${prefix}.${key}`),
  );
}

/** What may stand at a path: its keys, and those of the sections in it, all as dotted keys from the root. */
export function keysAt(schema: z.ZodType, path: readonly string[]): string[] {
  const at = schemaAt(schema, path);
  const object = at && asObject(at);
  if (object === undefined) return [];
  const prefix = path.join('.');
  const own = Object.keys(object.shape).map((key) => (prefix === '' ? key : `${prefix}.${key}`));
  return [...own, ...leafKeys(object, prefix)];
}

/** The schema of what stands at a path; steps go into sections, records and lists. Its default and the like are taken off. */
export function schemaAt(schema: z.ZodType, path: readonly string[]): z.ZodType | undefined {
  const bare = unwrap(schema);
  const [step, ...rest] = path;
  if (step === undefined) return bare;
  const child = childOf(bare, step);
  return child && schemaAt(child, rest);
}

function childOf(schema: z.ZodType, step: string): z.ZodType | undefined {
  if (schema instanceof z.ZodObject)
    return Object.hasOwn(schema.shape, step) ? (schema.shape[step] as z.ZodType) : undefined;
  if (schema instanceof z.ZodRecord) return schema.valueType as z.ZodType;
  if (schema instanceof z.ZodArray) return schema.element as z.ZodType;
  if (schema instanceof z.ZodUnion)
    return schema.options
      .map((option) => childOf(unwrap(option as z.ZodType), step))
      .find((child) => child !== undefined);
  return undefined;
}

function asObject(schema: z.ZodType): z.ZodObject | undefined {
  const bare = unwrap(schema);
  return bare instanceof z.ZodObject ? bare : undefined;
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional
    ? unwrap(schema.unwrap() as z.ZodType)
    : schema;
}
