import { createHash, randomUUID } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpRequest } from './route.ts';

/** The Idempotency-Key of a request, or undefined. Throws INVALID_ARGUMENT unless it is one text of 1 to 255 characters. */
export function idempotencyKeyOf({ headers }: Pick<HttpRequest, 'headers'>): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && key !== '' && key.length <= 255) return key;
  throw new GigvaultError(
    'INVALID_ARGUMENT',
    'Idempotency-Key must be one text of 1 to 255 characters.',
  );
}

/** The same key of the same principal gives the same UUID; without a key every call gives a new one. Throws as idempotencyKeyOf. */
export function requestIdOf(
  actor: string,
  scope: string,
  request: Pick<HttpRequest, 'headers'>,
): string {
  const key = idempotencyKeyOf(request);
  if (key === undefined) return randomUUID();
  const hash = createHash('sha256').update(`${actor}\n${scope}\n${key}`).digest();
  // RFC 9562 §5.8: version 8, variant 10.
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x80;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
