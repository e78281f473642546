import { z } from 'zod';

const seconds = (fallback: number) => z.int().min(1).default(fallback);

/** `enroll:` of the configuration. Durations are whole seconds. */
export const enrollConfig = z.strictObject({
  /** URL of the terms that new accounts must agree to; '' for none. */
  termsOfService: z.union([z.url(), z.literal('')]).default(''),
  /** URL in the directory; '' for none. */
  website: z.union([z.url(), z.literal('')]).default(''),
  /** Domain names that this CA answers to in CAA records (RFC 8659). */
  caaIdentities: z.array(z.string()).default([]),
  /** Profiles that clients may ask for, with what they are told of them. The first is the default. */
  profiles: z
    .record(z.string(), z.string())
    .refine((profiles) => Object.keys(profiles).length > 0, 'at least one profile')
    .default({ 'tls-server': 'Certificates for TLS servers.' }),
  /** How long a client has to finish an order. */
  orderLifetime: seconds(7 * 86_400),
  /** How long finished orders, and the URLs of their certificates, are kept after they expired. */
  orderRetention: seconds(90 * 86_400),
  /** Pending and ready orders of one account. */
  maxOpenOrders: z.int().min(1).default(300),
  /** How long a finalize waits for the certificate before it answers `processing`. */
  finalizeWait: seconds(5),
  /** When a client asks again for what is being worked on. */
  retryAfter: seconds(3),
  /** How many of the newest nonces are good. */
  nonceWindow: z.int().min(1_000).max(10_000_000).default(500_000),
  /** How many accounts' keys are kept ready. */
  accountKeyCache: z.int().min(10).default(10_000),
});

/** What `enrollConfig` gives. */
export type EnrollConfig = z.infer<typeof enrollConfig>;
