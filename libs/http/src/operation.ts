import type { Authenticator, Principal } from '@gigvault/access/permissions';
import { requirePermission } from '@gigvault/access/require-permission';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { currentCorrelation } from '@gigvault/telemetry/correlation';
import { FORM, isForm, mediaTypeOf, parseForm } from './form.ts';
import { parseJson } from './json.ts';
import type { HttpReply, HttpRequest, Operation } from './route.ts';
import { validate } from './validation.ts';

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
  const params = validate(operation.params, request.params, 'path');
  const query = validate(operation.query, request.query, 'query');
  const form = operation.form && isForm(request) ? operation.form : undefined;
  const body = form
    ? validate(form.body, parseForm(request.body as Buffer), 'body')
    : operation.body && validate(operation.body, readJson(request, operation), 'body');
  const answer = await (form ?? operation).handle({
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
  const principal = await authenticator.authenticate({
    authorization: oneOf(request.headers['authorization']),
    apiKey: oneOf(request.headers['x-api-key']),
    clientIp: request.clientIp,
    client: request.client,
  });
  const correlation = currentCorrelation();
  if (correlation) correlation.actor = principal.actor;
  const { permission } = operation;
  if (permission === 'signed-in') return principal;
  if (!principal.permissions.has(permission))
    await operation.tellForbidden?.(principal, request.params);
  requirePermission(principal, permission);
  return principal;
}

function oneOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function readJson(request: HttpRequest, { form }: Operation): unknown {
  const body = request.body as Buffer;
  if (body.length === 0) return {};
  const type = mediaTypeOf(request.headers['content-type']);
  if (type !== 'application/json')
    throw new GigvaultError(
      'UNSUPPORTED_MEDIA_TYPE',
      `Send the body as application/json${form ? ` or ${FORM}` : ''}${type === '' ? '' : `, not ${type.slice(0, 64)}`}.`,
    );
  return parseJson(body);
}
