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
      return issue['format'] === 'url' ? 'must be a URL' : 'must be of another form';
    case 'unrecognized_keys':
      return 'is not known here';
    default:
      return 'must be of another form';
  }
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
