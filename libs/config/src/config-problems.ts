import type { Problem } from '@gigvault/errors/gigvault-error';
import { predicate, sayWhatIsWrong } from '@gigvault/errors/plain-words';
import { z } from 'zod';
import { nearest } from './nearest.ts';
import { keysAt, schemaAt } from './schema-keys.ts';
import { takesSecretPlace } from './secret.ts';

/** Mark of a schema whose value is not repeated in messages: `z.url().meta(HIDDEN)`. */
export const HIDDEN = { hidden: true };

/** What a wrong value is told with. */
export interface ProblemContext {
  readonly schema: z.ZodObject;
  /** The configuration as it was written. */
  readonly written: unknown;
  /** Where the value of a key comes from, as `--https-port`, `GIGVAULT_HTTPS_PORT` or `/etc/gigvault/config.yaml`. */
  originOf(key: string): string | undefined;
}

/** The problems of one issue: the key, and `must be a whole number from 0 to 65535, not "abc" (GIGVAULT_HTTPS_PORT)`. */
export function problemsOf(issue: z.core.$ZodIssue, context: ProblemContext): Problem[] {
  const path = issue.path.map(String);
  const key = path.join('.');
  const from = context.originOf(key);
  const origin = from === undefined ? '' : ` (${from})`;
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(context.schema, path);
    return issue.keys.map((name) => unknownKey([...path, name].join('.'), known, context));
  }
  const leaf = schemaAt(context.schema, path);
  const value = valueAt(context.written, path);
  const message =
    (value === undefined ? undefined : allowed(leaf, issue)) ??
    predicate(kindWords(context.schema, path, value) ?? issue.message);
  return [{ pointer: key, message: `${message}${given(value, leaf)}${origin}` }];
}

/** A key that does not exist, with the nearest that does. */
export function unknownKey(
  key: string,
  known: readonly string[],
  { originOf }: Pick<ProblemContext, 'originOf'>,
): Problem {
  const suggestion = nearest(key, known);
  const from = originOf(key);
  return {
    pointer: key,
    message: `unknown key${suggestion === undefined ? '' : ` (did you mean "${suggestion}"?)`}${from === undefined ? '' : ` (${from})`}`,
  };
}

/** Zod's issues in plain words, where a schema has none of its own. */
export function issueWords(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type' && ['object', 'record'].includes(String(issue.expected)))
    return 'must be a section with keys of its own';
  return sayWhatIsWrong(issue);
}

/** For the key that tells what kind of section it is, the kinds there are. */
function kindWords(
  schema: z.ZodObject,
  path: readonly string[],
  value: unknown,
): string | undefined {
  const union = schemaAt(schema, path.slice(0, -1));
  if (!(union instanceof z.ZodDiscriminatedUnion) || union.def.discriminator !== path.at(-1))
    return undefined;
  const kinds = union.options.flatMap((option) => [
    ...(schemaAt(option as z.ZodObject, path.slice(-1)) as z.ZodLiteral).values,
  ]);
  return z.literal(kinds).safeParse(value, { error: issueWords }).error?.issues[0]?.message;
}

/** For numbers the whole range at once, whichever end was missed. */
function allowed(leaf: z.ZodType | undefined, { code }: z.core.$ZodIssue): string | undefined {
  if (!(leaf instanceof z.ZodNumber) || code === 'custom') return undefined;
  const { minValue, maxValue, isInt } = leaf;
  const bound = (value: number | null) =>
    value !== null && Math.abs(value) < Number.MAX_SAFE_INTEGER ? value : undefined;
  const [from, to] = [bound(minValue), bound(maxValue)];
  const range = [
    ...(from === undefined ? [] : [`from ${from}`]),
    ...(to === undefined ? [] : [`to ${to}`]),
  ];
  const kind = isInt ? 'a whole number' : 'a number';
  return [
    'must be',
    kind,
    ...range,
    ...(from !== undefined && to === undefined ? ['up'] : []),
  ].join(' ');
}

function valueAt(written: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, step) => (node as Record<string, unknown> | null | undefined)?.[step],
    written,
  );
}

function given(value: unknown, leaf: z.ZodType | undefined): string {
  // Who writes a secret where its place belongs, or a whole section as one text, must not read it in a log.
  const hidden =
    takesSecretPlace(leaf) || leaf instanceof z.ZodRecord || leaf?.meta()?.['hidden'] === true;
  if (value === undefined || hidden || (typeof value === 'object' && value !== null)) return '';
  const text = JSON.stringify(value);
  return `, not ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`;
}
