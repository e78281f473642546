import { durationBetween, positiveDuration } from '@gigvault/config/duration';
import { z } from 'zod';

/** Section `auth` of the configuration. */
export const authConfig = z.strictObject({
  /** How long an access token lives. A disabled user's tokens live on for at most this and a minute of leeway, except in auth. */
  accessTokenLifetime: durationBetween('1m', '1h').prefault('15m'),
  /** How long a one-use setup token can be redeemed. */
  setupTokenLifetime: positiveDuration.prefault('30m'),
  /** How long the API key that `up` writes for its own operator lives; each start makes a new one. */
  operatorKeyLifetime: durationBetween('1h').prefault('1d'),
  /** The key of keymgr that signs access tokens. */
  signingKeyId: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,255}$/)
    .default('auth-token'),
  /** Bad API keys and setup tokens that one client address may send within a window. */
  failureLimit: z
    .strictObject({
      failures: z.int().min(1).default(10),
      window: positiveDuration.prefault('1m'),
    })
    .prefault({}),
});

/** The parsed section. */
export type AuthConfig = z.infer<typeof authConfig>;
