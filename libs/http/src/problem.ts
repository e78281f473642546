import { publicErrorCode } from '@gigvault/errors/error-table';
import { asGigvaultError, type GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpReply } from './route.ts';

/** Where each error has its page. */
const DOCS = 'https://docs.gigvault.dev/errors/';

/**
 * The REST API's error reply: RFC 9457 problem document with the `error` member beside it.
 *
 * @param instance the request's path
 */
export function problemReply(error: unknown, instance: string, traceId: string): HttpReply {
  const ours = asGigvaultError(error);
  const { row } = ours;
  return {
    status: row.http,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(ours.retryAfter === undefined
        ? {}
        : { 'retry-after': String(Math.ceil(ours.retryAfter)) }),
      ...(row.http === 401 ? { 'www-authenticate': challenge(ours) } : {}),
    },
    body: JSON.stringify({
      type: DOCS + publicErrorCode(ours.code),
      title: row.title,
      status: row.http,
      detail: ours.message,
      instance,
      traceId,
      error: { code: ours.code, message: ours.message, details: ours.details },
      ...(ours.problems.length === 0
        ? {}
        : { errors: ours.problems.map((p) => ({ code: ours.code, ...p })) }),
    }),
  };
}

/** RFC 6750 §3: a token that was sent and refused is told apart from one that is missing. */
function challenge({ details }: GigvaultError): string {
  const refused = details['reason'] === undefined ? '' : ', error="invalid_token"';
  return `Bearer realm="gigvault"${refused}`;
}
