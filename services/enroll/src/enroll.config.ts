import { durationBetween, positiveDuration } from '@gigvault/config/duration';
import { z } from 'zod';

/** `enroll:` of the configuration. */
export const enrollConfig = z.strictObject({
  /** URL of the terms that new accounts must agree to; '' for none. */
  termsOfService: z.union([z.url(), z.literal('')]).default(''),
  /** URL in the directory; '' for none. */
  website: z.union([z.url(), z.literal('')]).default(''),
  /** Domain names that this CA answers to in CAA records (RFC 8659): shown in the directory; no CAA record is looked at yet. */
  caaIdentities: z.array(z.string()).default([]),
  /** Profiles that clients may ask for, with what they are told of them. The first is the default. */
  profiles: z
    .record(z.string(), z.string())
    .refine((profiles) => Object.keys(profiles).length > 0, 'at least one profile')
    .default({ 'tls-server': 'Certificates for TLS servers.' }),
  /** How long a client has to finish an order. */
  orderLifetime: positiveDuration.prefault('7d'),
  /** How long finished orders, and the URLs of their certificates, are kept after they expired. */
  orderRetention: positiveDuration.prefault('90d'),
  /** Pending and ready orders of one account. */
  maxOpenOrders: z.int().min(1).default(300),
  /** Caps against floods by one party; what is not said is DEFAULT_LIMITS of the environment. */
  limits: z
    .strictObject({
      /** New accounts of one client address in an hour, in each process; an IPv6 client is its /64. */
      newAccountsPerHour: z.int().min(1).optional(),
      /** New orders of one account in an hour. */
      newOrdersPerHour: z.int().min(1).optional(),
      /** Changes of one account in an hour, in each process: contacts, keys, refused certification requests. */
      changesPerHour: z.int().min(1).optional(),
    })
    .prefault({}),
  /** How long a finalize waits for the certificate before it answers `processing`. */
  finalizeWait: positiveDuration.prefault('5s'),
  /** When a client asks again for what is being worked on. */
  retryAfter: durationBetween('1s', '1h').prefault('3s'),
  /** How many of the newest nonces are good. */
  nonceWindow: z.int().min(1_000).max(10_000_000).default(500_000),
  /** How many accounts' keys are kept ready. */
  accountKeyCache: z.int().min(10).default(10_000),
});

/** Nobody's client comes near them: a cluster of thousands of hosts may share one account and one address. */
export const DEFAULT_LIMITS = {
  production: { newAccountsPerHour: 500, newOrdersPerHour: 3_000, changesPerHour: 300 },
  development: { newAccountsPerHour: 10_000, newOrdersPerHour: 30_000, changesPerHour: 10_000 },
} as const;

/** What `enrollConfig` gives. */
export type EnrollConfig = z.infer<typeof enrollConfig>;
