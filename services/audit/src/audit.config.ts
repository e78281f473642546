import { durationBetween } from '@gigvault/config/duration';
import { z } from 'zod';

/** Section `audit` of the configuration. */
export const auditConfig = z
  .strictObject({
    /** Between two signed checkpoints under load. */
    checkpointInterval: durationBetween('50ms', '1m').prefault('500ms'),
    /** Events of one producer that may wait before the service is unhealthy. */
    lagLimit: z.int().min(1).default(10_000),
    /** Between two blocks of entries (1024) that are verified; sixty times as long between two passes over the log. */
    verifyInterval: durationBetween('1ms', '1h').prefault('1s'),
  })
  .prefault({});

/** The parsed section. */
export type AuditConfig = z.infer<typeof auditConfig>;
