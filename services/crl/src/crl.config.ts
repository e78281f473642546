import { z } from 'zod';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Configuration of the CRL service. Durations are milliseconds. */
export const crlConfig = z
  .strictObject({
    /** Between two scheduled CRLs of a shard. */
    interval: z.number().int().min(1_000).default(HOUR),
    /** nextUpdate minus thisUpdate. */
    validity: z
      .number()
      .int()
      .min(2_000)
      .default(24 * HOUR),
    /** Revocations publish at most one CRL a shard in this time; the first after a quiet time at once. */
    coalesce: z.number().int().min(100).max(30_000).default(10_000),
    /** The longest that HTTP caches may keep a CRL. */
    httpMaxAge: z
      .number()
      .int()
      .min(0)
      .default(5 * MINUTE),
    /** Between two looks for CRLs that another replica has published, and for a new root CRL file. */
    refreshInterval: z.number().int().min(100).default(5_000),
    /** Between two looks at the list of issuers. */
    issuerInterval: z.number().int().min(100).default(MINUTE),
    /** The root's CRL (DER or PEM), made offline; served at /crl/root/0.crl. */
    rootCrlFile: z.string().optional(),
  })
  .refine((config) => config.interval * 2 <= config.validity, {
    message: 'must be at most half of crl.validity, so that one failure does not let a CRL expire',
    path: ['interval'],
  })
  .prefault({});

/** The parsed configuration. */
export type CrlConfig = z.infer<typeof crlConfig>;
