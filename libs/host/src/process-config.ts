import { secretReference } from '@gigvault/config/secret';
import { z } from 'zod';

const port = z.int().min(0).max(65_535);
const logLevel = z.enum(['debug', 'info', 'warn', 'error']);

/** What every process of GigVault is told, in whichever mode. */
export const sharedConfig = {
  environment: z.enum(['development', 'production']).default('development'),
  trustDomain: z
    .string()
    .regex(/^[a-z0-9.-]+$/)
    .default('gigvault.local'),
  log: z
    .strictObject({ level: logLevel.default('info'), file: z.string().optional() })
    .prefault({}),
  admin: z.strictObject({ port: port.default(0) }).prefault({}),
  metrics: z
    .strictObject({ address: z.string().default('127.0.0.1'), port: port.default(9464) })
    .prefault({}),
  /** Crash tests only: the file that names the fault, see fault-injection.ts. Refused in production. */
  faults: z.string().optional(),
} as const;

/** What one service's process is told (`up:split` writes these files; so may an operator). */
export const serviceProcessConfig = z.strictObject({
  ...sharedConfig,
  publicUrl: z.url(),
  dataDir: z.string(),
  database: z.strictObject({
    host: z.string(),
    port,
    name: z.string(),
    password: secretReference,
  }),
  grpc: z.strictObject({ host: z.string().default('127.0.0.1'), port }),
  https: z.strictObject({ host: z.string().default('127.0.0.1'), port }),
  tls: z.strictObject({ servicesCa: z.string(), certificate: z.string(), privateKey: z.string() }),
  adminToken: secretReference,
  /** `host:port` of each other service's gRPC listener. */
  addresses: z.record(z.string(), z.string()),
  /** The service's own section. */
  service: z.record(z.string(), z.unknown()).default({}),
});

/** See serviceProcessConfig. */
export type ServiceProcessConfig = z.infer<typeof serviceProcessConfig>;
