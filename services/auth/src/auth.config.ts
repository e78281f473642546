import { z } from 'zod';

const seconds = (fallback: number) => z.number().int().positive().default(fallback);

/** Section `auth` of the configuration. Every duration is in seconds. */
export const authConfig = z.strictObject({
  /** How long an access token lives; a disabled user's tokens live on for at most this. */
  accessTokenLifetime: z.number().int().min(60).max(3600).default(900),
  /** How long a one-use setup token can be redeemed. */
  setupTokenLifetime: seconds(1800),
  /** How long the API key that `up` writes for its own operator lives; each start makes a new one. */
  operatorKeyLifetime: seconds(86_400),
  /** The key of keymgr that signs access tokens. */
  signingKeyId: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,255}$/)
    .default('auth-token'),
  /** Bad API keys and setup tokens that one client address may send within a window. */
  failureLimit: z.strictObject({ failures: seconds(10), window: seconds(60) }).prefault({}),
});

/** The parsed section. */
export type AuthConfig = z.infer<typeof authConfig>;
