import { z } from 'zod';

/** Section `audit` of the configuration. */
export const auditConfig = z
  .strictObject({
    /** Milliseconds between two signed checkpoints under load. */
    checkpointInterval: z.int().min(50).max(60_000).default(500),
    /** Events of one producer that may wait before the service is unhealthy. */
    lagLimit: z.int().min(1).default(10_000),
  })
  .prefault({});

/** The parsed section. */
export type AuditConfig = z.infer<typeof auditConfig>;
