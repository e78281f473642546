/** What is wrong with a value, as zod knows it (`z.core.$ZodRawIssue`, of which this is what counts here). */
interface Issue {
  readonly code?: string;
  readonly input?: unknown;
  readonly origin?: unknown;
  readonly [detail: string]: unknown;
}

/** Messages of schemas say what a value is (`a length of time, …`) or go on after its name (`must be …`). */
export function predicate(message: string): string {
  return /^(is|must|has|may|needs) /.test(message) ? message : `must be ${message}`;
}

/** Zod's issues in plain words; undefined leaves zod's own. Messages that stand in a schema come before these. */
export function sayWhatIsWrong(issue: Issue): string | undefined {
  if (issue.input === undefined) return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${KINDS[String(issue['expected'])] ?? String(issue['expected'])}`;
    case 'too_small':
      return bound(issue, issue['minimum'], 'at least');
    case 'too_big':
      return bound(issue, issue['maximum'], 'at most');
    case 'invalid_value': {
      const values = (issue['values'] as unknown[]).map(String);
      return values.length === 1 ? `must be "${values[0]}"` : `must be one of ${values.join(', ')}`;
    }
    case 'invalid_format':
      return formOf(issue);
    case 'not_multiple_of':
      return `must be a multiple of ${String(issue['divisor'])}`;
    case 'invalid_union':
      return anyOf(issue);
    case 'unrecognized_keys':
      return 'is not known here';
    default:
      return UNTOLD;
  }
}

/** Of a schema that does not say what is wrong. */
const UNTOLD = 'must be of another form';

const FORMATS: Readonly<Record<string, string>> = {
  url: 'a URL',
  uuid: 'a UUID, as 3f0c7a52-9f5e-4d6c-8f0b-2f4f0f7f1d11',
  base64: 'base64 (RFC 4648 §4)',
  base64url: 'base64url without padding (RFC 4648 §5)',
  datetime: 'a time as 2026-01-31T12:00:00Z (RFC 3339)',
  date: 'a day as 2026-01-31',
  email: 'an email address',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  cidrv4: 'an IPv4 network as 192.0.2.0/24',
  cidrv6: 'an IPv6 network as 2001:db8::/32',
};

/** Patterns, prefixes and their like as the schema has them: better than nothing. */
function formOf(issue: Issue): string {
  const format = String(issue['format']);
  const known = FORMATS[format];
  if (known !== undefined) return `must be ${known}`;
  for (const [kind, verb] of [
    ['prefix', 'begin with'],
    ['suffix', 'end with'],
    ['includes', 'contain'],
  ] as const)
    if (typeof issue[kind] === 'string') return `must ${verb} "${issue[kind]}"`;
  return typeof issue['pattern'] === 'string' ? `must match ${issue['pattern']}` : UNTOLD;
}

/** What each of the alternatives wants. */
function anyOf({ errors }: Issue): string {
  const alternatives = (Array.isArray(errors) ? errors : []) as { message?: string }[][];
  const words = alternatives.flatMap(([first]) =>
    first?.message ? [predicate(first.message)] : [],
  );
  return [...new Set(words)].join(', or ') || UNTOLD;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a JSON object',
  record: 'a JSON object',
  array: 'a list',
};

function bound({ origin }: Issue, value: unknown, side: 'at least' | 'at most'): string {
  const count = Number(value);
  if (origin === 'string')
    return count === 1 && side === 'at least'
      ? 'must not be empty'
      : `must have ${side} ${count} characters`;
  if (origin === 'array') return `must have ${side} ${count} ${count === 1 ? 'entry' : 'entries'}`;
  return `must be ${side} ${count}`;
}
