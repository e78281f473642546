import { ERROR_TABLE, type ErrorCode } from '@gigvault/errors/error-table';
import { type ErrorDetails, GigvaultError } from '@gigvault/errors/gigvault-error';
import { z } from 'zod';
import { problemReply } from './problem.ts';
import type { Operation } from './route.ts';
import { API_MOUNTS } from './route-table.ts';

/** An error reply (RFC 9457) with the `error` member beside it. */
export const problemDocument = z.object({
  type: z.url().describe('The page of this error'),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('What is wrong, for people'),
  instance: z.string().describe('The path that was asked for'),
  traceId: z.string().describe('Finds the request in logs and traces'),
  error: z.object({
    code: z.enum(Object.keys(ERROR_TABLE) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  }),
  errors: z
    .array(z.object({ pointer: z.string(), code: z.string(), message: z.string() }))
    .optional()
    .describe('One entry for each thing that is wrong, with a JSON pointer to it'),
});

/** What operations answer without naming it: a sentence for each. */
const COMMON: Readonly<Partial<Record<ErrorCode, readonly [string, ErrorDetails?]>>> = {
  FORBIDDEN: [
    'ada lacks the permission users:manage.',
    { details: { permission: 'users:manage' } },
  ],
  INTERNAL: ['Something went wrong on our side.'],
  INVALID_ARGUMENT: [
    'The query parameter "limit" must be at most 200.',
    { problems: [{ pointer: '/query/limit', message: 'must be at most 200' }] },
  ],
  PAYLOAD_TOO_LARGE: ['The request body is too large.'],
  RATE_LIMITED: ['Too many requests from your address.', { retryAfter: 1 }],
  UNAUTHENTICATED: ['The access token is expired.', { details: { reason: 'expired' } }],
  UNAVAILABLE: ['The service is stopping.'],
  UNSUPPORTED_MEDIA_TYPE: ['Send the body as application/json, not text/xml.'],
};

/** `components.examples`: the problem documents that operations share. */
export function commonProblems(): Record<string, object> {
  const codes = Object.keys(COMMON) as ErrorCode[];
  return Object.fromEntries(
    codes.map((code) => {
      const [sentence, details] = COMMON[code] as readonly [string, ErrorDetails?];
      return [code, example(code, sentence, `${API_MOUNTS[0]}/users`, details)];
    }),
  );
}

/** `components.responses.Problem`: whatever else goes wrong. */
export const PROBLEM_RESPONSE = response(
  'What failed and why',
  { INTERNAL: shared('INTERNAL'), UNAVAILABLE: shared('UNAVAILABLE') },
  ['Retry-After'],
);

/** The error responses of an operation by status, each with an example of every code that it may have. */
export function problemsOf(operation: Operation): Record<string, object> {
  const instance = API_MOUNTS[0] + withValues(operation);
  const own = operation.errors ?? {};
  const codes = [...new Set([...commonCodes(operation), ...(Object.keys(own) as ErrorCode[])])];
  const byStatus = Map.groupBy(codes, (code) => String(ERROR_TABLE[code].http));
  return Object.fromEntries(
    [...byStatus]
      .sort()
      .map(([status, group]) => [
        status,
        response(
          group.map((code) => ERROR_TABLE[code].title).join('; '),
          Object.fromEntries(
            group.map((code) => [
              code,
              own[code] === undefined ? shared(code) : example(code, own[code], instance),
            ]),
          ),
          headersOf(status),
        ),
      ]),
  );
}

function commonCodes(operation: Operation): ErrorCode[] {
  return [
    'INVALID_ARGUMENT',
    ...(operation.permission === 'anonymous' ? [] : (['UNAUTHENTICATED'] as const)),
    ...(operation.permission.includes(':') ? (['FORBIDDEN'] as const) : []),
    ...(operation.body ? (['PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const) : []),
    'RATE_LIMITED',
  ];
}

function headersOf(status: string): string[] {
  if (status === '401') return ['WWW-Authenticate'];
  return status === '429' || status === '503' ? ['Retry-After'] : [];
}

function response(description: string, examples: object, more: readonly string[]): object {
  return {
    description,
    headers: headers('RateLimit', 'RateLimit-Policy', ...more),
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        examples,
      },
    },
  };
}

/** References to `components.headers`. */
export function headers(...names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function shared(code: ErrorCode): object {
  return { $ref: `#/components/examples/${code}` };
}

/** The document that the server itself would make of this error. */
function example(
  code: ErrorCode,
  sentence: string,
  instance: string,
  details?: ErrorDetails,
): object {
  const reply = problemReply(
    new GigvaultError(code, sentence, details),
    instance,
    '4bf92f3577b34da6a3ce929d0e0e4736',
  );
  return { summary: ERROR_TABLE[code].title, value: JSON.parse(String(reply.body)) as object };
}

function withValues({ path, examples }: Operation): string {
  return path.replaceAll(/:(\w+)/g, (_, name: string) => String(examples.params?.[name] ?? name));
}
