import { asGigvaultError, GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  type FormVariant,
  type HttpReply,
  type HttpRequest,
  type HttpRoute,
  operation,
} from '@gigvault/http/route';
import type { z } from 'zod';
import { type ExchangeDeps, exchangeApiKey } from '../tokens/exchange-api-key.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import { NO_STORE } from './http-reply.ts';
import * as schemas from './schemas.ts';

type TokenForm = z.infer<typeof schemas.tokenForm>;
type FormError = z.infer<typeof schemas.tokenFormError>['error'];

/** `POST /token`: JSON in the API's own words, and the form of OAuth 2.0 (RFC 6749 §4.4) for its many clients. */
export function tokenRoute(deps: ExchangeDeps): HttpRoute {
  return operation({
    operationId: 'createToken',
    method: 'POST',
    path: '/token',
    tag: 'Access',
    summary: 'Exchange an API key for an access token',
    description:
      'OAuth 2.0 clients send the form of RFC 6749 §4.4 (`client_credentials`), with the API key as the client secret, in the form or by HTTP Basic. They are answered, and refused, as §5 says.',
    permission: 'anonymous',
    body: schemas.tokenRequest,
    replies: { 200: schemas.tokenReply },
    examples: EXAMPLES.createToken,
    errors: ERRORS.createToken,
    form: formOf(deps),
    handle: async ({ body, clientIp }) => ({
      status: 200,
      headers: NO_STORE,
      body: await exchangeApiKey(deps, { clientSecret: body.clientSecret, clientIp }),
    }),
  });
}

function formOf(deps: ExchangeDeps): FormVariant {
  return {
    body: schemas.tokenForm,
    reply: schemas.tokenFormReply,
    error: schemas.tokenFormError,
    examples: EXAMPLES.tokenForm,
    errorReply: (error) => refusal(asGigvaultError(error)),
    async handle(request: HttpRequest<never, never, TokenForm>) {
      const { grant_type: grantType, scope } = request.body;
      if (grantType !== 'client_credentials')
        throw badForm('unsupported_grant_type', 'The grant type is client_credentials.');
      if (scope !== undefined) throw badForm('invalid_scope', 'There are no scopes: leave it out.');
      const clientSecret = secretOf(request);
      const token = await exchangeApiKey(deps, { clientSecret, clientIp: request.clientIp });
      return {
        status: 200,
        headers: { ...NO_STORE, pragma: 'no-cache' },
        body: {
          access_token: token.accessToken,
          token_type: token.tokenType,
          expires_in: token.expiresIn,
        },
      };
    },
  };
}

/** By HTTP Basic or in the form, not both (RFC 6749 §2.3). */
function secretOf({ body, headers }: HttpRequest<never, never, TokenForm>): string {
  const inHeader = basicPassword(headers['authorization']);
  if (inHeader !== undefined && body.client_secret !== undefined)
    throw badForm('invalid_request', 'Send the client secret once: by HTTP Basic or in the form.');
  const secret = inHeader ?? body.client_secret;
  if (secret === undefined)
    throw new GigvaultError('UNAUTHENTICATED', 'Send an API key as the client secret.');
  return secret;
}

/** The password of HTTP Basic, form-encoded as RFC 6749 §2.3.1 says; undefined without the header, '' when it cannot be read. */
function basicPassword(header: string | readonly string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const encoded = /^basic +([A-Za-z0-9+/=_-]{1,1000})$/i.exec(String(header))?.[1] ?? '';
  const password = /^[^:]*:(.*)$/s.exec(Buffer.from(encoded, 'base64').toString())?.[1] ?? '';
  return new URLSearchParams(`p=${password.replaceAll('&', '%26')}`).get('p') ?? '';
}

function badForm(error: FormError, message: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', message, { details: { oauth: error } });
}

/** RFC 6749 §5.2. */
function refusal(error: GigvaultError): HttpReply {
  const { row, retryAfter, message } = error;
  return {
    status: row.http,
    headers: {
      ...NO_STORE,
      pragma: 'no-cache',
      'content-type': 'application/json',
      ...(row.http === 401 ? { 'www-authenticate': 'Basic realm="gigvault"' } : {}),
      ...(retryAfter === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfter)) }),
    },
    // The standard allows ASCII without quotes and backslashes.
    body: JSON.stringify({
      error: wordOf(error),
      error_description: message.replaceAll(/["\\]/g, "'").replaceAll(/[^\x20-\x7e]/g, '?'),
    }),
  };
}

function wordOf({ row, details }: GigvaultError): FormError {
  const known = schemas.tokenFormError.shape.error.safeParse(details['oauth']);
  if (known.success) return known.data;
  if (row.http === 401) return 'invalid_client';
  if (row.http === 429 || row.http >= 503) return 'temporarily_unavailable';
  return row.http >= 500 ? 'server_error' : 'invalid_request';
}
