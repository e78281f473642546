import { duration, durationBetween } from '@gigvault/config/duration';
import { z } from 'zod';

/** Configuration of the CRL service. */
export const crlConfig = z
  .strictObject({
    /** Between two scheduled CRLs of a shard. */
    interval: durationBetween('1s').prefault('1h'),
    /** nextUpdate minus thisUpdate. */
    validity: durationBetween('2s').prefault('24h'),
    /** Revocations publish at most one CRL a shard in this time; the first after a quiet time at once. */
    coalesce: durationBetween('100ms', '30s').prefault('10s'),
    /** The longest that HTTP caches may keep a CRL. */
    httpMaxAge: duration.prefault('5m'),
    /** Between two looks for CRLs that another replica has published, and for a new root CRL file. */
    refreshInterval: durationBetween('100ms').prefault('5s'),
    /** Between two looks at the list of issuers. */
    issuerInterval: durationBetween('100ms').prefault('1m'),
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
