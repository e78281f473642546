import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type ZodType, z } from 'zod';
import { decodeBase64Url } from '../jws/base64url.ts';
import { parseStrictJsonObject } from '../jws/strict-json.ts';

// Unknown members are ignored, as RFC 8555 lets later documents add some.

/** new-account (RFC 8555 §7.3). */
export const newAccountPayload = z.object({
  contact: z.array(z.string()).default([]),
  termsOfServiceAgreed: z.boolean().default(false),
  onlyReturnExisting: z.boolean().default(false),
});

/** An account's update (RFC 8555 §7.3.2). */
export const accountUpdatePayload = z.object({
  contact: z.array(z.string()).optional(),
  status: z.string().optional(),
});

const timestamp = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

/** new-order (RFC 8555 §7.4), with the `profile` of draft-ietf-acme-profiles. */
export const newOrderPayload = z.object({
  identifiers: z.array(z.object({ type: z.string(), value: z.string() })),
  notBefore: timestamp.default(0),
  notAfter: timestamp.default(0),
  profile: z.string().default(''),
});

/** finalize (RFC 8555 §7.4). */
export const finalizePayload = z.object({
  csr: z.string().transform((text) => decodeBase64Url(text, '"csr"')),
});

/** An authorization's deactivation (RFC 8555 §7.5.2). */
export const authorizationPayload = z.object({ status: z.literal('deactivated') });

/** A challenge's response (RFC 8555 §7.5.1): `{}` for http-01. */
export const challengePayload = z.object({});

/** revoke-cert (RFC 8555 §7.6). */
export const revocationPayload = z.object({
  certificate: z.string().transform((text) => decodeBase64Url(text, '"certificate"')),
  reason: z.int().default(0),
});

/** The payload as the schema reads it. Errors: INVALID_ARGUMENT, with a problem for each member that is wrong. */
export function readPayload<T>(payload: Buffer, schema: ZodType<T>): T {
  const result = schema.safeParse(parseStrictJsonObject(payload, 'The payload'));
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => ({
    pointer: `/${issue.path.join('/')}`,
    message: issue.message,
  }));
  throw new GigvaultError('INVALID_ARGUMENT', 'The payload is not what this resource takes.', {
    problems,
  });
}

/** For resources that are only read (RFC 8555 §6.3). Errors: INVALID_ARGUMENT when there is a payload (T37). */
export function requireNoPayload(payload: Buffer): void {
  if (payload.length > 0)
    throw new GigvaultError('INVALID_ARGUMENT', 'Send an empty payload: POST-as-GET.');
}
