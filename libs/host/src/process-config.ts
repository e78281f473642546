import type { SecureContextOptions } from 'node:tls';
import { CLIENT_CERTIFICATE_MODES } from '@gigvault/access/client-certificate';
import { secretReference } from '@gigvault/config/secret';
import { SSL_MODES } from '@gigvault/database/connection-tls';
import { DEFAULT_API_ACCESS } from '@gigvault/http/api-gate';
import { isNetwork } from '@gigvault/http/network-list';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { z } from 'zod';

const port = z.int().min(0).max(65_535);
const logLevel = z.enum(['debug', 'info', 'warn', 'error']);
const network = z
  .string()
  .refine(isNetwork, 'an address or a network, as "10.0.0.0/8" or "fd00::/8"');

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
  tracing: z
    .strictObject({
      /** Base URL of an OTLP/HTTP collector. Default: OTEL_EXPORTER_OTLP_ENDPOINT; without either nothing is traced. */
      endpoint: z.url({ protocol: /^https?$/ }).optional(),
    })
    .prefault({}),
  /** Crash tests only: the file that names the fault, see fault-injection.ts. Refused in production. */
  faults: z.string().optional(),
} as const;

/** Keys of `https` that guard the management API (requirement C53); see ApiAccess. */
export const apiAccessConfig = {
  allowedNetworks: z.array(network).default([]),
  rateLimit: z
    .strictObject({
      requestsPerSecond: z.number().min(0).default(DEFAULT_API_ACCESS.rateLimit.requestsPerSecond),
      burst: z.int().min(1).default(DEFAULT_API_ACCESS.rateLimit.burst),
    })
    .prefault({}),
} as const;

/** Keys of `https` that say whether the public listener asks for client certificates; see ClientCertificates. */
export const clientCertificatesConfig = {
  clientCertificates: z.enum(CLIENT_CERTIFICATE_MODES).default('off'),
  /** PEM file of the CAs from which they must come, up to their roots. */
  clientAuthorities: z.string().startsWith('/').optional(),
} as const;

/** Keys of `https` that say with which versions of TLS clients may come to the public listener (requirement X1), and what it shows them. */
export const publicTlsConfig = {
  tls: z
    .strictObject({
      /** With '1.2' for clients that know no other: forward secrecy and AEAD only. */
      minVersion: z.enum(['1.3', '1.2']).default('1.3'),
      /** PEM, absolute: a certificate of another CA, then who signed it. Default: one of GigVault's own. */
      certificateFile: z.string().startsWith('/', 'an absolute path').optional(),
      /** Where its key is. */
      privateKey: secretReference.optional(),
    })
    .superRefine(({ certificateFile, privateKey }, context) => {
      if ((certificateFile === undefined) === (privateKey === undefined)) return;
      const missing = certificateFile === undefined ? 'certificateFile' : 'privateKey';
      context.addIssue({ code: 'custom', path: [missing], message: 'is missing' });
    })
    .prefault({}),
} as const;

/** Options of node:tls. */
export function publicTlsVersions({
  tls,
}: z.infer<z.ZodObject<typeof publicTlsConfig>>): Pick<SecureContextOptions, 'minVersion'> {
  return { minVersion: `TLSv${tls.minVersion}` };
}

/** The keys of `apiAccessConfig`, as they are written. */
export const API_ACCESS_KEYS = ['https.allowedNetworks', 'https.rateLimit'] as const;

/** What one service's process is told (`up:split` writes these files; so may an operator). */
export const serviceProcessConfig = z.strictObject({
  ...sharedConfig,
  /** No default: a file that forgets it must not run the lenient profile. */
  environment: z.enum(['development', 'production']),
  publicUrl: z.url(),
  dataDir: z.string(),
  database: z.strictObject({
    host: z.string(),
    port,
    /** Where it may be as well: a primary and its standbys. */
    others: z.array(z.strictObject({ host: z.string(), port })).default([]),
    name: z.string(),
    password: secretReference,
    sslMode: z.enum(SSL_MODES).optional(),
    sslRootCert: z.string().optional(),
  }),
  grpc: z.strictObject({ host: z.string().default('127.0.0.1'), port }),
  https: z.strictObject({ host: z.string().default('127.0.0.1'), port, ...apiAccessConfig }),
  tls: z.strictObject({ servicesCa: z.string(), certificate: z.string(), privateKey: z.string() }),
  adminToken: secretReference,
  secrets: secretsConfig,
  /** `host:port` of each other service's gRPC listener. */
  addresses: z.record(z.string(), z.string()),
});

/** See serviceProcessConfig. */
export type ServiceProcessConfig = z.infer<typeof serviceProcessConfig>;
