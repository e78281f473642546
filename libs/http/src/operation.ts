import type { Principal } from '@gigvault/access/permissions';
import type { ErrorCode } from '@gigvault/errors/error-table';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { z } from 'zod';
import { admit, type Door } from './admit.ts';
import { FORM, isForm, mediaTypeOf, parseForm } from './form.ts';
import { parseJson } from './json.ts';
import type { HttpReply, HttpRequest, Operation } from './route.ts';
import { validate } from './validation.ts';

/** Of an operation that names no parameters. */
const NO_QUERY = z.strictObject({});

/** What an operation refuses for who asks. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['FORBIDDEN', 'SELF_APPROVAL']);

/**
 * Authenticates, authorises, validates and runs one operation.
 * Errors: UNAUTHENTICATED, FORBIDDEN, UNSUPPORTED_MEDIA_TYPE, INVALID_ARGUMENT with one problem for each field, and the operation's own; those of telling a refusal:
 * nobody is refused untold.
 */
export async function runOperation(
  operation: Operation,
  request: HttpRequest,
  door: Door,
): Promise<HttpReply> {
  const principal = await admitted(operation, request, door);
  const params = validate(operation.params, request.params, 'path');
  const form = operation.form && isForm(request) ? operation.form : undefined;
  // The standard of a form may want unknown parameters ignored, as RFC 6749 §3.2 does.
  const noQuery = form ? undefined : NO_QUERY;
  const query = validate(operation.query ?? noQuery, request.query, 'query');
  const body = form
    ? validate(form.body, parseForm(request.body as Buffer), 'body')
    : operation.body && validate(operation.body, readJson(request, operation), 'body');
  const given = { ...request, params, query, body, ...(principal ? { principal } : {}) };
  try {
    const answer = await (form ?? operation).handle(given as never);
    return { ...answer, headers: { 'cache-control': 'no-store', ...answer.headers } };
  } catch (error) {
    if (principal && isRefusal(error)) {
      const asked = { operation: operation.operationId, fields: request.params };
      await door.tellRefused?.(principal, { ...asked, reason: error.message });
    }
    throw error;
  }
}

function admitted(
  { permission, operationId: operation }: Operation,
  request: HttpRequest,
  door: Door,
): Promise<Principal> | undefined {
  if (permission === 'anonymous') return undefined;
  const credentials = {
    authorization: oneOf(request.headers['authorization']),
    apiKey: oneOf(request.headers['x-api-key']),
    clientIp: request.clientIp,
    client: request.client,
  };
  return admit(door, credentials, { permission, operation, fields: () => request.params });
}

function isRefusal(error: unknown): error is GigvaultError {
  return error instanceof GigvaultError && REFUSALS.has(error.code);
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
