import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { HttpRequest } from './route.ts';

/** The media type of a form. */
export const FORM = 'application/x-www-form-urlencoded';

/** True when a request says that its body is a form. */
export function isForm({ headers }: Pick<HttpRequest, 'headers'>): boolean {
  return mediaTypeOf(headers['content-type']) === FORM;
}

/** A media type without its parameters, in lower case; '' for none. */
export function mediaTypeOf(header: string | readonly string[] | undefined): string {
  return (String(header ?? '').split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** The fields of a form; one without a value counts as absent (RFC 6749 §3.2). Errors: INVALID_ARGUMENT for a field that comes twice. */
export function parseForm(body: Buffer): Record<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    if (value === '') continue;
    if (fields.has(name))
      throw new GigvaultError('INVALID_ARGUMENT', `The form names ${name.slice(0, 64)} twice.`);
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}
