import { ERROR_TABLE, type ErrorCode, isErrorCode } from '@gigvault/errors/error-table';
import { CliFailure, type Fact, type Try } from '../failure.ts';
import type { HttpsReply } from './https-client.ts';

/** A problem document (RFC 9457) with the `error` member; every member may be missing when the peer is not a GigVault. */
interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly detail?: string;
  readonly traceId?: string;
  readonly error?: { readonly code?: string; readonly message?: string };
  readonly errors?: readonly { readonly pointer?: string; readonly message?: string }[];
}

const TRIES: Partial<Record<ErrorCode, readonly Try[]>> = {
  UNAUTHENTICATED: [
    { command: 'npm run up', note: "renews this machine's context" },
    { command: 'gigvault setup <token>', note: 'redeem a one-use token' },
  ],
  FORBIDDEN: [{ command: 'gigvault whoami', note: 'your roles' }],
  CERTIFICATE_NOT_FOUND: [{ command: 'gigvault cert list' }],
  REQUEST_NOT_FOUND: [{ command: 'gigvault csr list' }],
  KEY_NOT_FOUND: [{ command: 'gigvault key list' }],
  USER_NOT_FOUND: [{ command: 'gigvault user list' }],
  SELF_APPROVAL: [{ command: 'gigvault context use <name>', note: 'another person decides' }],
  POLICY_DENIED: [{ command: 'gigvault whoami', note: 'policies look at your roles' }],
  UNAVAILABLE: [{ command: 'gigvault status' }],
};

/** What shows the things below a path of the API. */
const LISTS: readonly (readonly [RegExp, string])[] = [
  [/\/certificates\b/, 'gigvault cert list'],
  [/\/csrs\b/, 'gigvault csr list'],
  [/\/keys\b/, 'gigvault key list'],
  [/\/users\b/, 'gigvault user list'],
  [/\/api-keys\b/, 'gigvault apikey list'],
];

/** What is typed here for a field of the API, where the names differ. */
const TYPED: Readonly<Record<string, string>> = {
  roles: '--role',
  displayName: '--display-name',
  expiresIn: '--expires-in (in seconds)',
  validity: '--ttl',
  keyId: '<name>',
  data: 'the file',
  plaintext: 'the file',
  ciphertext: 'the file',
  additionalData: '--additional-data',
  signature: '--signature',
  version: '--key-version',
  commonName: '--cn',
  certificationRequest: 'the certification request',
};

/** Codes after which what was asked may have been done, or is done later. */
const UNDECIDED: readonly ErrorCode[] = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'INTERNAL'];

/** The failure that a reply of status 400 or more tells of; `path` is what was asked for. */
export function failureOf(reply: HttpsReply, path = ''): CliFailure {
  const problem = parseProblem(reply.body);
  const known =
    problem.error?.code && isErrorCode(problem.error.code) ? problem.error.code : undefined;
  const code = known ?? codeOfStatus(reply.status);
  const message =
    problem.detail ??
    problem.error?.message ??
    problem.title ??
    `the server answered ${reply.status}`;
  const shown = inTypedWords(withoutFacts(message, problem));
  const facts = factsOf(problem, shown);
  return new CliFailure(shown || ERROR_TABLE[code].title, {
    code,
    ...(known || !problem.error?.code
      ? {}
      : { shownCode: `GV-${problem.error.code.replaceAll('_', '-')}` }),
    facts: [...facts, ...waitFact(reply)],
    tries: TRIES[code] ?? listTries(code, path),
    maybeDone: UNDECIDED.includes(code),
    ...(problem.type?.startsWith('https://') ? { more: problem.type } : {}),
    ...(problem.traceId ? { traceId: problem.traceId } : {}),
  });
}

function listTries(code: ErrorCode, path: string): Try[] {
  if (code !== 'NOT_FOUND' && code !== 'ALREADY_EXISTS') return [];
  return LISTS.filter(([place]) => place.test(path)).map(([, command]) => ({ command }));
}

/** Of a pointer as `/roles/0`; of a list that nobody typed the message says what it is about. */
function fieldOf(pointer: string): string {
  const [field = '', ...rest] = pointer.replace(/^\//, '').split('/');
  return field === 'subjectAltName' ? '' : (TYPED[field] ?? [field, ...rest].join('.'));
}

/** `subject: text` taken apart, as messages of decisions are written. */
export function factOf(message: string, pointer = ''): Fact {
  const [, subject, text] = /^([A-Za-z][^:"]{0,40}(?:"[^"]*")?): (.+)$/s.exec(message) ?? [];
  return subject && text ? { subject, text } : { subject: fieldOf(pointer), text: message };
}

/** A message that begins with a field of the API, as `"roles[0]" must be …`, about what was typed instead. */
function inTypedWords(message: string): string {
  return message.replace(/^"([A-Za-z]+)[^" ]*"/, (field, name) => TYPED[name] ?? field);
}

/** Servers that list facts also join them in the message; here each has its own line. */
function withoutFacts(message: string, { errors }: Problem): string {
  const entries = Array.isArray(errors) ? errors : [];
  if (entries.length === 0) return message;
  const joined = entries.map((entry) => entry.message).join('; ');
  const pointed = entries
    .map(({ pointer, message: text }) => `${pointer || '/'}: ${text}`)
    .join('; ');
  for (const tail of [pointed, joined])
    if (message.endsWith(tail)) return message.slice(0, -tail.length).replace(/:?\s*$/, '');
  return message;
}

/** What the message does not say already. */
function factsOf(problem: Problem, shown: string): Fact[] {
  const entries = Array.isArray(problem.errors) ? problem.errors : [];
  return entries
    .filter((entry) => entry.message && !shown.includes(entry.message))
    .map((entry) => factOf(entry.message ?? '', entry.pointer));
}

function waitFact({ headers, status }: HttpsReply): Fact[] {
  const seconds = headers['retry-after'];
  return status === 429 && seconds
    ? [{ subject: '', text: `try again in ${String(seconds)} s` }]
    : [];
}

function parseProblem(body: string): Problem {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Problem) : {};
  } catch {
    return {};
  }
}

function codeOfStatus(status: number): ErrorCode {
  const codes: Record<number, ErrorCode> = {
    400: 'INVALID_ARGUMENT',
    401: 'UNAUTHENTICATED',
    403: 'FORBIDDEN',
    404: 'NOT_FOUND',
    409: 'CONFLICT',
    413: 'PAYLOAD_TOO_LARGE',
    429: 'RATE_LIMITED',
    503: 'UNAVAILABLE',
    504: 'DEADLINE_EXCEEDED',
  };
  return codes[status] ?? 'INTERNAL';
}
