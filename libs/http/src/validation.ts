import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { predicate, sayWhatIsWrong } from '@gigvault/errors/plain-words';
import type { ZodType, z } from 'zod';

/** Where a value came from; pointers of the query and the path begin with it. */
export type Place = 'body' | 'query' | 'path';

/**
 * The value that the schema makes of this one; the value itself without a schema. Errors: INVALID_ARGUMENT with a sentence
 * for people, and one problem for each field.
 */
export function validate(schema: ZodType | undefined, value: unknown, place: Place): unknown {
  if (place !== 'body') refuseControlCharacters(value as object, place);
  if (schema === undefined) return value;
  const result = schema.safeParse(value, { error: sayWhatIsWrong });
  if (result.success) return result.data;
  throw invalid(result.error.issues.flatMap(toFaults), place);
}

interface Fault {
  readonly path: readonly PropertyKey[];
  /** Continues a sentence that begins with the field. */
  readonly message: string;
}

/** PostgreSQL has no NUL in a text, and nothing that stands in a URL has another control character. */
function refuseControlCharacters(values: object, place: Place): void {
  const faults = Object.entries(values)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    .filter(([name, value]) => /[\0-\x1f\x7f]/.test(name + String(value)))
    .map(([name]) => ({ path: [name], message: 'must not have control characters' }));
  if (faults.length > 0) throw invalid(faults, place);
}

function invalid(faults: readonly Fault[], place: Place): GigvaultError {
  const root = place === 'body' ? '' : `/${place}`;
  const problems = faults.map(
    ({ path, message }): Problem => ({ pointer: pointer(root, path), message }),
  );
  const said = faults.map(({ path, message }) => `${subject(path, place)} ${message}`).join('; ');
  return new GigvaultError('INVALID_ARGUMENT', `${said[0]?.toUpperCase()}${said.slice(1)}.`, {
    problems,
  });
}

function toFaults(issue: z.core.$ZodIssue): Fault[] {
  return issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => ({ path: [...issue.path, key], message: 'is not known here' }))
    : [{ path: issue.path, message: predicate(issue.message) }];
}

function subject(path: readonly PropertyKey[], place: Place): string {
  const name = path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}.${String(step)}`),
    '',
  );
  const field = `"${name.replace(/^\./, '').slice(0, 100)}"`;
  if (place === 'query') return path.length === 0 ? 'the query' : `the query parameter ${field}`;
  if (place === 'path') return path.length === 0 ? 'the path' : `${field} in the path`;
  return path.length === 0 ? 'the body' : field;
}

/** RFC 6901 §3. */
function pointer(root: string, path: readonly PropertyKey[]): string {
  const steps = path.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1'));
  return [root, ...steps].join('/');
}
