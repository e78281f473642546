import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { SecretPlace } from './secret-place.ts';

/** Milliseconds that a server has to give a secret, its client's retries included. */
export const SECRET_TIME = 5_000;

/** It may not be had, or is not what it should be. */
export function refused({ reference }: SecretPlace, why: string): GigvaultError {
  return new GigvaultError('INVALID_ARGUMENT', `The secret ${reference} cannot be had: ${why}.`);
}

/** Who keeps it does not answer; it may later. @param cause what a server or a client said, which never has the secret */
export function unreachable(
  { reference }: SecretPlace,
  why: string,
  cause?: unknown,
): GigvaultError {
  return new GigvaultError('UNAVAILABLE', `The secret ${reference} cannot be had now: ${why}.`, {
    cause,
  });
}

/** A member of a secret that is a JSON object. Errors: INVALID_ARGUMENT; no message has what stands there. */
export function memberOf(place: SecretPlace, text: string): string {
  const { field } = place;
  if (field === undefined) return text;
  let members: unknown;
  try {
    members = JSON.parse(text);
  } catch {
    // The parser's own message repeats what it was given.
    throw refused(place, 'it is no JSON, so it has no fields');
  }
  return textMember(place, field, members);
}

/** The text that a record has under a name. Errors: INVALID_ARGUMENT. */
export function textMember(place: SecretPlace, field: string, members: unknown): string {
  const record = typeof members === 'object' && members !== null ? members : {};
  const value = Object.hasOwn(record, field)
    ? (record as Record<string, unknown>)[field]
    : undefined;
  if (typeof value === 'string') return value;
  throw refused(place, `it has no text under '${field}'`);
}
