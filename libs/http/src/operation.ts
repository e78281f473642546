import type { Authenticator, Principal } from '@gigvault/access/permissions';
import { GigvaultError, type Problem } from '@gigvault/errors/gigvault-error';
import { currentCorrelation } from '@gigvault/telemetry/correlation';
import type { ZodType } from 'zod';
import { parseJson } from './json.ts';
import type { HttpReply, HttpRequest, Operation } from './route.ts';

/**
 * Authenticates, authorises, validates and runs one operation.
 * Errors: UNAUTHENTICATED, FORBIDDEN, UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT with one problem for each field, and the operation's own.
 */
export async function runOperation(
  operation: Operation,
  request: HttpRequest,
  authenticator: Authenticator,
): Promise<HttpReply> {
  const principal = await admit(operation, request, authenticator);
  const params = validate(operation.params, request.params, '/path');
  const query = validate(operation.query, request.query, '/query');
  const body = operation.body ? validate(operation.body, readJson(request), '') : undefined;
  const answer = await operation.handle({
    ...request,
    params,
    query,
    body,
    ...(principal ? { principal } : {}),
  } as never);
  return { ...answer, headers: { 'cache-control': 'no-store', ...answer.headers } };
}

async function admit(
  operation: Operation,
  request: HttpRequest,
  authenticator: Authenticator,
): Promise<Principal | undefined> {
  if (operation.permission === 'anonymous') return undefined;
  const header = request.headers['authorization'];
  const principal = await authenticator.authenticate(Array.isArray(header) ? header[0] : header);
  const correlation = currentCorrelation();
  if (correlation) correlation.actor = principal.actor;
  if (operation.permission !== 'signed-in' && !principal.permissions.has(operation.permission)) {
    throw new GigvaultError(
      'FORBIDDEN',
      `${principal.name} lacks the permission ${operation.permission}.`,
      {
        details: { permission: operation.permission },
      },
    );
  }
  return principal;
}

function readJson(request: HttpRequest): unknown {
  const body = request.body as Buffer;
  if (body.length === 0) return {};
  const type = String(request.headers['content-type'] ?? '')
    .split(';', 1)[0]
    ?.trim()
    .toLowerCase();
  if (type !== 'application/json')
    throw new GigvaultError('UNSUPPORTED_MEDIA_TYPE', 'Send application/json.');
  return parseJson(body);
}

function validate(schema: ZodType | undefined, value: unknown, at: string): unknown {
  if (schema === undefined) return value;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue): Problem[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ pointer: pointer(at, issue.path, key), message: 'Unknown.' }))
      : [{ pointer: pointer(at, issue.path), message: issue.message }],
  );
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    problems.map((p) => `${p.pointer || '/'}: ${p.message}`).join('; '),
    { problems },
  );
}

/** RFC 6901 §3. */
function pointer(at: string, path: readonly PropertyKey[], ...more: readonly string[]): string {
  const steps = [...path, ...more].map((step) =>
    String(step).replaceAll('~', '~0').replaceAll('/', '~1'),
  );
  return [at, ...steps].join('/');
}
